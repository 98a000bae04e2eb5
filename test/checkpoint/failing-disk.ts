// Disks that fail, for tests: no permission, no space, no space after some bytes.

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { vi } from 'vitest';

/** Runs something without the rights of the superuser, who may write everywhere. */
export async function asOrdinaryUser<T>(run: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return run();
  const nobody = 65534;
  process.seteuid!(nobody);
  try {
    return await run();
  } finally {
    process.seteuid!(0);
  }
}

/** A folder that may be read but not written. */
export function readOnlyFolder(path: string): string {
  mkdirSync(path);
  chmodSync(path, 0o555);
  return path;
}

/** Lets `FileHandle.writeFile` fail as a full disk does, from the call with this number (from 1) on. */
export async function fillDiskAtWrite(call: number): Promise<{ restore: () => void }> {
  const handle = await open('/dev/null', 'r');
  const methods = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const original = methods.writeFile;
  let calls = 0;
  const spy = vi.spyOn(methods, 'writeFile').mockImplementation(function (this: FileHandle, ...args) {
    calls++;
    if (calls < call) return original.apply(this, args);
    return Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
  });
  return { restore: () => spy.mockRestore() };
}

/** A file system of 64 KiB at `path`; `undefined` where mounting is not allowed. */
export function mountTinyDisk(path: string): { unmount: () => void } | undefined {
  mkdirSync(path);
  try {
    inShell('mount -t tmpfs -o size=64k tmpfs "$0"', path);
  } catch {
    return undefined;
  }
  return { unmount: () => inShell('umount "$0"', path) };
}

function inShell(command: string, path: string): void {
  execFileSync('bash', ['-c', command, path], { stdio: 'ignore' });
}
