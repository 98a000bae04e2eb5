import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { physicalCores } from '../../src/util/physical-cores.js';
import { temporaryPaths } from '../checkpoint/temporary-folder.js';

const path = temporaryPaths();

/** A machine whose processors have these siblings, and a process that may use `allowed`. */
async function machine(siblings: readonly string[], allowed: string, share = 'max 100000') {
  const folder = path();
  for (const [at, list] of siblings.entries()) {
    const topology = join(folder, `cpu${at}`, 'topology');
    await mkdir(topology, { recursive: true });
    await writeFile(join(topology, 'thread_siblings_list'), `${list}\n`);
  }
  for (const name of ['cpufreq', 'cpuidle']) await mkdir(join(folder, name));
  const status = join(folder, 'status');
  await writeFile(status, `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed_list:\t0\n`);
  const quota = join(folder, 'cpu.max');
  await writeFile(quota, `${share}\n`);
  return { topology: folder, status, quota };
}

describe('physicalCores', () => {
  test('counts two threads of one core once', async () => {
    expect(physicalCores(await machine(['0,4', '1,5', '2,6', '3,7', '0,4', '1,5', '2,6', '3,7'], '0-7'), 8)).toBe(4);
    expect(physicalCores(await machine(['0-1', '0-1', '2-3', '2-3'], '0-3'), 4)).toBe(2);
  });

  test('counts every core of a machine without such threads', async () => {
    expect(physicalCores(await machine(['0', '1'], '0-1'), 2)).toBe(2);
  });

  test('counts only cores that the process may use', async () => {
    const siblings = ['0,4', '1,5', '2,6', '3,7', '0,4', '1,5', '2,6', '3,7'];
    expect(physicalCores(await machine(siblings, '1,3-5'), 4)).toBe(3);
    expect(physicalCores(await machine(siblings, '2'), 1)).toBe(1);
    expect(physicalCores(await machine(siblings, '0-7'), 2)).toBe(2);
  });

  test('counts processors where the system does not say what shares a core', async () => {
    const nowhere = '/nonexistent';
    expect(physicalCores({ topology: nowhere, status: nowhere, quota: nowhere }, 6)).toBe(6);
    expect(physicalCores({ ...(await machine(['0', '1'], '0-1')), status: nowhere }, 3)).toBe(3);
    expect(physicalCores({ ...(await machine(['0', '1'], '0-1')), topology: nowhere }, 3)).toBe(3);
  });

  test('counts no more than the share of a container, rounded up', async () => {
    const cores = ['0', '1', '2', '3'];
    expect(physicalCores(await machine(cores, '0-3', '200000 100000'), 4)).toBe(2);
    expect(physicalCores(await machine(cores, '0-3', '150000 100000'), 4)).toBe(2);
    expect(physicalCores(await machine(cores, '0-3', '50000 100000'), 4)).toBe(1);
    expect(physicalCores(await machine(cores, '0-3', '900000 100000'), 4)).toBe(4);
  });

  test('finds something to compute on here', () => {
    const cores = physicalCores();
    expect(cores).toBeGreaterThanOrEqual(1);
    expect(cores).toBeLessThanOrEqual(availableParallelism());
  });
});
