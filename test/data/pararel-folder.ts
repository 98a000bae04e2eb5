// A made-up ParaRel folder: places and rulers that nobody knows, with all that must be left out. Knows no reader.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { jsonLines } from './temporary-files.js';

export interface FactRow {
  readonly relation: string;
  readonly sub_label: string;
  readonly obj_label: string;
}

export interface PatternRow {
  readonly relation: string;
  readonly pattern: string;
}

/** Facts of one relation: subjects are numbered, objects go round. */
export function factRows(relation: string, count: number, objects: readonly string[], subject = relation): FactRow[] {
  return Array.from({ length: count }, (_, at) => ({
    relation,
    sub_label: `${subject} ${at}`,
    obj_label: objects[at % objects.length]!,
  }));
}

export const patternRows = (relation: string, patterns: readonly string[]): PatternRow[] =>
  patterns.map((pattern) => ({ relation, pattern }));

/** Writes a folder; a name that ends in `.gz` takes packed content. */
export type WriteFolder = (files: Readonly<Record<string, string | Uint8Array | readonly object[]>>) => string;

export function temporaryFolders(): WriteFolder {
  const root = mkdtempSync(join(tmpdir(), 'malmen-pararel-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  return (files) => {
    const folder = join(root, String(count++));
    mkdirSync(folder);
    for (const [name, content] of Object.entries(files)) {
      const isBytes = typeof content === 'string' || content instanceof Uint8Array;
      writeFileSync(join(folder, name), isBytes ? content : jsonLines(content));
    }
    return folder;
  };
}
