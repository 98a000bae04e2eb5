// The demonstration, stopped and killed on its way: run again it goes on, ends as one that was left alone, and leaves nothing else.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileHash } from '../../src/util/file-hash.js';

const program = fileURLToPath(new URL('../../bin/malmen.js', import.meta.url));
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'malmen-interrupted-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Moment {
  readonly signal: 'SIGINT' | 'SIGKILL';
  /** Of the first line on stderr after which the signal is sent. */
  readonly line: RegExp;
}

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
}

/** Runs the demonstration into `out`, to its end or to a moment. */
async function demo(out: string, moment?: Moment): Promise<Ended> {
  const flags = ['--editor', 'mend', '--facts', '20', '--steps', '1', '--threads', '1', '--out', join(dir, out)];
  const child = spawn(process.execPath, [program, 'demo', ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  const lines: string[] = [];
  let sent = false;
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    if (sent || moment === undefined || !moment.line.test(line)) continue;
    sent = true;
    child.kill(moment.signal);
  }
  if (moment !== undefined && !sent) throw new Error(`${moment.line} never came:\n${lines.join('\n')}`);
  return { code: (await ended)[0], lines };
}

/** Lines that every run comes to, whatever the ones before it had time to save; kills within a training: resume.test.ts. */
const moments: readonly Moment[] = [
  { signal: 'SIGINT', line: /^train: 0\/1/ },
  { signal: 'SIGKILL', line: /^generate before/ },
  { signal: 'SIGKILL', line: /^ask after/ },
];

test('interrupted on its way, it ends as if it had not been', { timeout: 2_400_000 }, async () => {
  expect(await demo('straight')).toMatchObject({ code: 0 });
  for (const moment of moments) {
    const { code, lines } = await demo('broken', moment);
    expect(code).toBe(moment.signal === 'SIGINT' ? 130 : null);
    // An edited model that was saved and not yet asked has no reports: it is not there under its name.
    expect(await readdir(join(dir, 'broken'))).not.toContain('edited');
    if (moment.signal === 'SIGINT') expect(lines.at(-1)).toMatch(/^stopped: .*run the same command again/);
  }
  expect(await demo('broken')).toMatchObject({ code: 0 });
  const made = await filesIn('straight');
  expect(made.size).toBeGreaterThan(10);
  expect(await filesIn('broken')).toEqual(made);
});

/** These tell when and where they were made. */
const dated = /^(edit\.json|report\.html|editor\.json|train\.json|log\.jsonl|result\.json)$/;

/** Hashes of all files of a run by path; the empty text for those that differ from run to run. */
async function filesIn(out: string): Promise<Map<string, string>> {
  const files = (await readdir(join(dir, out), { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
  const hashes = new Map<string, string>();
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name);
    hashes.set(relative(join(dir, out), path), dated.test(name) ? '' : await fileHash(path));
  }
  return hashes;
}
