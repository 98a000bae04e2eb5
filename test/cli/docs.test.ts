// docs/cli.md says what the schemas say. Run with -u to write it anew.

import { expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.js';
import { renderDocs } from '../../src/cli/docs.js';

test('docs/cli.md is current', async () => {
  await expect(renderDocs(commandTable)).toMatchFileSnapshot('../../docs/cli.md');
});
