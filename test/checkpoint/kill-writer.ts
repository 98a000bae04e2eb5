// Starts the stuck writer and kills it when half is written.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./stuck-writer.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

export async function killHalfway(...argv: string[]): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...argv], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const first = await Promise.race([once(child.stdout, 'data'), ended]);
  if (String(first[0]) !== 'half\n') throw new Error(`the writer ended before half was written: ${first}`);
  child.kill('SIGKILL');
  await ended;
}
