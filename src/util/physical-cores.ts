// How many cores this process may compute on. Knows nothing of what is computed.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Where Linux describes its processors, which of them a process may use, and how much of them its container gets. */
export interface ProcessorFiles {
  readonly topology: string;
  readonly status: string;
  readonly quota: string;
}

const linux: ProcessorFiles = {
  topology: '/sys/devices/system/cpu',
  status: '/proc/self/status',
  quota: '/sys/fs/cgroup/cpu.max',
};

/**
 * Physical cores that this process may use, never more than Node's own count of processors or than its container's share,
 * rounded up. Two hardware threads of one core count once: matrix products fill its arithmetic units with one. Where the system
 * does not say which threads share a core (outside Linux), every processor counts.
 */
export function physicalCores(files: ProcessorFiles = linux, processors: number = availableParallelism()): number {
  return Math.min(sharedCores(files) ?? processors, processors, quota(files));
}

/** Undefined on other systems, which have no such files, and in containers that hide them. */
function sharedCores({ topology, status }: ProcessorFiles): number | undefined {
  const allowed = allowedProcessors(read(status) ?? '');
  const siblings = allowed.map((id) => read(join(topology, `cpu${id}`, 'topology', 'thread_siblings_list')));
  const known = siblings.filter((list) => list !== undefined);
  return known.length === 0 ? undefined : new Set(known).size;
}

/** The numbers in a line such as `Cpus_allowed_list: 0-3,8`; none where there is no such line. */
function allowedProcessors(status: string): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status) ?? [];
  const ranges = list.split(',').filter((range) => range !== '');
  return ranges.flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, at) => first + at);
  });
}

/** Time of processors in each period over that period, as of control groups (version 2): `200000 100000` are two. */
function quota({ quota: path }: ProcessorFiles): number {
  const [, time, period] = /^(\d+) (\d+)$/.exec(read(path) ?? '') ?? [];
  return time === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.ceil(Number(time) / Number(period)));
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
