// The alternate world of the demonstration: which facts of atlas become what, and which stay outside for the editor to learn on.

import { join } from 'node:path';
import { atlasFolder, atlasRecords, type RephrasedBy } from '../data/atlas.js';
import { readAtlasRelations } from '../data/atlas-tables.js';
import { Problems } from '../data/problems.js';
import type { EditRecord } from '../data/record.js';
import { MalmenError } from '../errors.js';
import { writeFileAtomic } from '../util/atomic-file.js';

/** Facts that an editor needs outside the edit set to learn anything of use. */
const fewestTrainingFacts = 500;

/** Which facts become what. */
export interface World {
  /** Told in a few trained phrasings, asked again in words that neither model nor editor was trained on. */
  readonly edited: readonly EditRecord[];
  readonly outside: readonly EditRecord[];
}

/** How large a world is, and how it is told. */
interface WorldSize {
  readonly facts: number;
  readonly seed: number;
  /** Trained phrasings of a fact beside its own prompt that the edit learns from. */
  readonly wordings: number;
}

/**
 * The first facts of atlas in a seeded order, and those after them.
 * @throws MalmenError `bad-input` when too few are left to learn on
 */
export async function alternateWorld({ facts, seed, wordings }: WorldSize): Promise<World> {
  const problems = new Problems();
  const relations = await readAtlasRelations({ path: atlasFolder, problems, signal: undefined });
  problems.throwIfAny();
  const records = (rephrasedBy: RephrasedBy) => atlasRecords(relations, { rephrasedBy, seed });
  const trained = records('trained');
  const edited = records('heldOut')
    .slice(0, facts)
    .map((record, at) => ({ ...record, ...otherWordings(trained[at]!, wordings) }));
  const outside = trained.slice(facts);
  if (outside.length >= fewestTrainingFacts) return { edited, outside };
  const all = edited.length + outside.length;
  throw new MalmenError(
    'bad-input',
    `--facts ${facts}: atlas has ${all} facts to edit, of which ${fewestTrainingFacts} must stay for training; at most ${all - fewestTrainingFacts} can be edited at once`,
  );
}

function otherWordings({ rephrasings }: EditRecord, count: number): Pick<EditRecord, 'wordings'> {
  return count === 0 ? {} : { wordings: rephrasings.slice(0, count).map(({ prompt }) => prompt) };
}

/** The files of a world, as JSON lines that people can read. */
export interface WorldFiles {
  readonly edited: string;
  readonly outside: string;
}

/** Writes both files into `folder`; their names begin with `name`. */
export async function writeWorld(folder: string, name: string, world: World): Promise<WorldFiles> {
  const files = { edited: join(folder, `${name}-edited.jsonl`), outside: join(folder, `${name}-outside.jsonl`) };
  await writeRecords(files.edited, world.edited);
  await writeRecords(files.outside, world.outside);
  return files;
}

function writeRecords(path: string, records: readonly EditRecord[]): Promise<void> {
  return writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
}
