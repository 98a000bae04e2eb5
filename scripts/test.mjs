// Runs the tests, all or those of one folder (`node scripts/test.mjs parity`; what follows goes to vitest), and closes with one
// plain line of counts. Knows no test.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

/** Folders of `test/` that hold tests. */
function areas() {
  const folders = readdirSync(at('test'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map(({ name }) => name)
    .filter((name) => readdirSync(at('test', name)).some((file) => file.endsWith('.test.ts')));
}

function runVitest(filter, more, report) {
  const reporters = ['default', at('scripts', 'skipped-reporter.mjs'), 'json'].map((name) => `--reporter=${name}`);
  const args = ['run', ...filter, ...reporters, `--outputFile.json=${report}`, ...more];
  const { status } = spawnSync(process.execPath, [at('node_modules', 'vitest', 'vitest.mjs'), ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status ?? 1;
}

/** The counts of a report. A file that cannot be loaded counts as one failure, and so does a run without a report. */
function closingLine(report) {
  if (!existsSync(report)) return '0 passed, 1 failed';
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
  );
  const skipped = numPendingTests + numTodoTests;
  const counts = [`${numPassedTests} passed`, `${numFailedTests + brokenFiles.length} failed`];
  return [...counts, ...(skipped > 0 ? [`${skipped} skipped`] : [])].join(', ');
}

const [area, ...more] = process.argv.slice(2);
if (area !== undefined && !areas().includes(area)) {
  console.error(`test: there is no folder test/${area} with tests; the folders are ${areas().join(', ')}`);
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), 'malmen-test-'));
const report = join(work, 'report.json');
const status = runVitest(area === undefined ? [] : [`test/${area}/`], more, report);
const line = closingLine(report);
rmSync(work, { recursive: true, force: true });
console.log(line);
process.exitCode = status;
