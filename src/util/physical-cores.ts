// How many cores this process may compute on. Knows nothing of what is computed.

import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** Where Linux describes its processors, and which of them a process may use. */
export interface ProcessorFiles {
  readonly topology: string;
  readonly status: string;
}

const linux: ProcessorFiles = { topology: '/sys/devices/system/cpu', status: '/proc/self/status' };

/**
 * Physical cores that this process may use, never more than Node's own count of processors. Two hardware threads of one core
 * count once: matrix products fill its arithmetic units with one. Where the system does not say which threads share a core
 * (outside Linux), every processor counts.
 */
export function physicalCores(files: ProcessorFiles = linux, processors: number = availableParallelism()): number {
  const cores = readCores(files);
  return cores === undefined ? processors : Math.min(cores, processors);
}

function readCores({ topology, status }: ProcessorFiles): number | undefined {
  try {
    const allowed = allowedProcessors(readFileSync(status, 'utf8'));
    const online = readdirSync(topology).flatMap((name) => /^cpu(\d+)$/.exec(name)?.[1] ?? []);
    const siblings = online
      .filter((id) => allowed.has(Number(id)))
      .map((id) => readFileSync(join(topology, `cpu${id}`, 'topology', 'thread_siblings_list'), 'utf8').trim());
    return siblings.length === 0 ? undefined : new Set(siblings).size;
  } catch {
    // Other systems have no such files, and some containers hide them.
    return undefined;
  }
}

/** The numbers in a line such as `Cpus_allowed_list: 0-3,8`; none where there is no such line. */
function allowedProcessors(status: string): Set<number> {
  const [, list = ''] = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status) ?? [];
  const ranges = list.split(',').filter((range) => range !== '');
  return new Set(
    ranges.flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number) as [number, number?];
      return Array.from({ length: last! - first + 1 }, (_, at) => first + at);
    }),
  );
}
