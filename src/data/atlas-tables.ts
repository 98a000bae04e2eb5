// Atlas as it lies in its folder: tables of true facts, one subject a line and one relation a column, and the phrasings that say them.
// Knows nothing of edits.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, MalmenError } from '../errors.js';
import type { RecordSource } from './record-reader.js';
import { readLines } from './text-file.js';

export interface AtlasFact {
  readonly relation: string;
  /** As it stands inside a sentence: `the Netherlands`, `hydrogen`. */
  readonly subject: string;
  readonly object: string;
  /** Answers that are true as well, and therefore never a new one. */
  readonly alsoTrue: readonly string[];
}

/** Beginnings of sentences, and questions, with [X] for the subject; the object follows. */
export interface Phrasings {
  /** What a language model is taught and an editor learns with. */
  readonly trained: readonly string[];
  /** What neither ever sees. */
  readonly heldOut: readonly string[];
}

export interface AtlasRelation extends Phrasings {
  readonly relation: string;
  /** In the order of the table; no subject twice. */
  readonly facts: readonly AtlasFact[];
}

const phrasingsFile = 'phrasings.tsv';
const phrasingsHeader = ['relation', 'use', 'phrasing'];

/** What a relation needs, so that it can be edited, rephrased and asked in words that were never trained. */
const least = { trained: 2, heldOut: 1, objects: 2 };

/** The text that asks for a fact's object. */
export function promptOf(phrasing: string, { subject }: AtlasFact): string {
  const prompt = phrasing.replace('[X]', () => subject);
  return phrasing.startsWith('[X]') ? prompt.charAt(0).toUpperCase() + prompt.slice(1) : prompt;
}

/**
 * @param source its path is a folder of `.tsv` tables; `phrasings.tsv` is one of them. What is wrong with a line becomes a problem
 * @throws MalmenError for a missing or damaged file, or a folder without facts
 */
export async function readAtlasRelations(source: RecordSource): Promise<AtlasRelation[]> {
  const tables = await tableNames(source.path);
  const phrasings = await readPhrasings({ ...source, path: join(source.path, phrasingsFile) });
  const facts = new Map<string, AtlasFact[]>();
  for (const name of tables) await readFacts({ ...source, path: join(source.path, name) }, facts);
  if (facts.size === 0 && source.problems.count === 0)
    throw new MalmenError('bad-input', `${source.path}: no table beside ${phrasingsFile} holds a fact`);
  const complain = (problem: string) => source.problems.add(source.path, problem);
  for (const relation of phrasings.keys())
    if (!facts.has(relation)) complain(`relation '${relation}' has phrasings and no facts`);
  return [...facts].flatMap(([relation, list]) => {
    const made = { relation, facts: list, ...(phrasings.get(relation) ?? { trained: [], heldOut: [] }) };
    const missing = whatIsMissing(made);
    if (missing.length > 0) complain(`relation '${relation}' needs ${missing.join(', ')}`);
    return missing.length > 0 ? [] : [made];
  });
}

function whatIsMissing({ trained, heldOut, facts }: AtlasRelation): string[] {
  const objects = new Set(facts.map(({ object }) => object)).size;
  return [
    ...(trained.length < least.trained ? [`at least ${least.trained} trained phrasings, got ${trained.length}`] : []),
    ...(heldOut.length < least.heldOut ? [`at least ${least.heldOut} held-out phrasing, got ${heldOut.length}`] : []),
    ...(objects < least.objects ? [`at least ${least.objects} different objects, got ${objects}`] : []),
  ];
}

async function tableNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error) => {
    throw fileError(error, folder, 'reading');
  });
  return names.filter((name) => name.endsWith('.tsv') && name !== phrasingsFile).sort();
}

async function readPhrasings(source: RecordSource): Promise<Map<string, Phrasings>> {
  const byRelation = new Map<string, { readonly trained: string[]; readonly heldOut: string[] }>();
  const seen = new Set<string>();
  for await (const { where, header, cells } of readTable(source)) {
    if (header.join() !== phrasingsHeader.join())
      throw new MalmenError('bad-input', `${source.path}: expected the columns ${phrasingsHeader.join(', ')}`);
    const [relation, use, phrasing] = cells as [string, string, string];
    const problem = phrasingProblem(use, phrasing) ?? (seen.has(cells.join('\t')) ? 'this phrasing stands above' : '');
    if (problem) source.problems.add(where, problem);
    if (problem) continue;
    for (const one of ['trained', 'held-out']) seen.add([relation, one, phrasing].join('\t'));
    const known = byRelation.get(relation) ?? { trained: [], heldOut: [] };
    byRelation.set(relation, known);
    known[use === 'trained' ? 'trained' : 'heldOut'].push(phrasing);
  }
  return byRelation;
}

function phrasingProblem(use: string, phrasing: string): string | undefined {
  if (use !== 'trained' && use !== 'held-out') return `use: expected 'trained' or 'held-out', got '${use}'`;
  if (phrasing.split('[X]').length !== 2) return `phrasing: expected [X] once, got '${phrasing}'`;
  return undefined;
}

/** Adds a table's facts to those of their relations: the first column holds subjects, each other one is a relation. */
async function readFacts(source: RecordSource, byRelation: Map<string, AtlasFact[]>): Promise<void> {
  const subjects = new Set<string>();
  let columns: readonly AtlasFact[][] | undefined;
  for await (const { where, header, cells } of readTable(source)) {
    columns ??= openColumns(source.path, header.slice(1), byRelation);
    const [subject = '', ...objects] = cells;
    if (subject === '' || subjects.has(subject)) {
      source.problems.add(where, subject === '' ? 'the line has no subject' : `subject '${subject}' stands above`);
      continue;
    }
    subjects.add(subject);
    for (const [at, cell] of objects.entries()) {
      if (cell === '') continue;
      const [object = '', ...alsoTrue] = cell.split('; ');
      columns[at]!.push({ relation: header[at + 1]!, subject, object, alsoTrue });
    }
  }
}

function openColumns(
  path: string,
  relations: readonly string[],
  byRelation: Map<string, AtlasFact[]>,
): readonly AtlasFact[][] {
  for (const relation of relations) {
    if (byRelation.has(relation))
      throw new MalmenError(
        'bad-input',
        `${path}: relation '${relation}' has a column already, here or in another table`,
      );
    byRelation.set(relation, []);
  }
  return relations.map((relation) => byRelation.get(relation)!);
}

interface TableLine {
  readonly where: string;
  /** Names of the columns. */
  readonly header: readonly string[];
  /** As many as there are columns; an empty one says nothing. */
  readonly cells: readonly string[];
}

/** Lines of tab-separated cells below a header. Lines of another width, or with stray white space, become problems. */
async function* readTable({ path, problems, signal }: RecordSource): AsyncGenerator<TableLine> {
  let header: readonly string[] | undefined;
  for await (const { line, text } of readLines(path, signal)) {
    const where = `${path}:${line}`;
    const cells = text.split('\t');
    const stray = cells.find((cell) => cell !== cell.trim() || /\s\s/.test(cell));
    if (stray !== undefined) problems.add(where, `stray white space in '${stray}'`);
    else if (header && cells.length !== header.length)
      problems.add(where, `expected ${header.length} cells between tabs, got ${cells.length}`);
    else if (header) yield { where, header, cells };
    header ??= cells;
  }
}
