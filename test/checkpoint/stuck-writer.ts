// A process that is killed in the middle of writing: `stuck-writer.ts file PATH` or `stuck-writer.ts model BASE OUT`.
// Prints a line when half is written, then waits for ever.

import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { saveEditedModel } from '../../src/checkpoint/save-model.js';

const [kind, ...paths] = process.argv.slice(2) as [string, string, string];
// A timer keeps the process alive.
const waitForEver = () => new Promise<never>(() => setInterval(() => undefined, 1000));

async function* halfOfTheBytes() {
  yield new Uint8Array(4);
  process.stdout.write('half\n');
  await waitForEver();
}

if (kind === 'file') {
  await writeSafetensors(paths[0], [{ name: 't', dtype: 'u8', shape: [8], bytes: halfOfTheBytes }]);
} else {
  const alongside = async () => {
    process.stdout.write('half\n');
    await waitForEver();
  };
  await saveEditedModel({
    base: await openModelFolder(paths[0]),
    out: paths[1],
    force: true,
    edited: new Map(),
    alongside,
  });
}
