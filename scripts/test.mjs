// Runs the tests (all, or those of one folder: `node scripts/test.mjs parity`) and closes with one plain line of counts.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [area, ...more] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), 'malmen-test-'));
const report = join(work, 'report.json');

const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const filter = area ? [`test/${area}`] : [];
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
const { status } = spawnSync(process.execPath, [vitest, 'run', ...filter, ...reporters, ...more], {
  cwd: root,
  stdio: 'inherit',
});

let line = '0 passed, 1 failed';
try {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  // A file that cannot be loaded fails without a failed test.
  const brokenFiles = testResults.filter(
    ({ status: file, assertionResults }) => file === 'failed' && assertionResults.length === 0,
  ).length;
  const skipped = numPendingTests + numTodoTests;
  line = `${numPassedTests} passed, ${numFailedTests + brokenFiles} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(line);
process.exitCode = status ?? 1;
