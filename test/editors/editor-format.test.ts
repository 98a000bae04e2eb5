// A folder that another version of the program wrote is refused in a sentence.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { editorFormat, readEditorDescription } from '../../src/editors/editor-folder.js';

it('an editor of an older format names its file, the format that is read, and what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'malmen-format-'));
  try {
    const description = {
      format: 'malmen-editor-1',
      method: 'malmen',
      base: { hash: 'a', modelType: 'gpt2', path: 'lm' },
      layers: ['h.0'],
      tokens: 'answers',
      rank: 1,
      blocks: 1,
      steps: 1,
      rounds: 1,
      preserves: false,
      training: {},
    };
    const write = (format: string) =>
      writeFile(join(folder, 'editor.json'), JSON.stringify({ ...description, format }));
    await write('malmen-editor-1');
    await expect(readEditorDescription(folder)).rejects.toMatchObject({
      code: 'bad-input',
      message: `${join(folder, 'editor.json')}: format: must be ${editorFormat}: train the editor again with this version`,
    });
    await write(editorFormat);
    await expect(readEditorDescription(folder)).resolves.toMatchObject({ method: 'malmen' });
  } finally {
    await rm(folder, { recursive: true });
  }
});
