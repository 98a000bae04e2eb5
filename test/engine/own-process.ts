// Scripts in a process of their own, for tests of what is set for a whole process: the C library's allocator.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Whether there is an allocator to set. */
export const glibc =
  process.platform === 'linux' && 'glibcVersionRuntime' in (process.report.getReport() as { header: object }).header;

/** `malloc`, `fill` and `free` of the C library, for a script. */
export const memoryFunctions = `
    import koffi from 'koffi';
    const c = koffi.load('libc.so.6');
    const [malloc, fill, free] = ['void *malloc(size_t)', 'void *memset(void *, int, size_t)', 'void free(void *)'].map((f) => c.func(f));`;

/** What a script prints, which must not complain; without settings of the allocator but for those given. */
export function printedBy(script: string, settings: NodeJS.ProcessEnv = {}): string {
  const others = Object.entries(process.env).filter(([name]) => !/^(MALLOC_|GLIBC_TUNABLES|LD_PRELOAD)/.test(name));
  const env = { ...Object.fromEntries(others), ...settings };
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: root, encoding: 'utf8', env }); // biome-ignore format: one line
  expect(stderr).toBe('');
  return stdout;
}
