// ParaRel (Elazar et al. 2021) as it lies in its folder: facts, and the patterns that say them. Of both, what suits a decoder.
// Knows nothing of edits.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MalmenError } from '../errors.js';
import { entryAt } from '../util/entry-at.js';
import { readJsonLines } from './json-rows.js';
import type { RecordSource } from './record-reader.js';
import { text } from './record-schema.js';

export interface Fact {
  readonly relation: string;
  readonly subject: string;
  readonly object: string;
}

/** A relation with everything that can be said of it. */
export interface FactGroup {
  readonly relation: string;
  /** Beginnings of sentences with [X] for the subject; the object follows. */
  readonly patterns: readonly string[];
  /** In the order of the file; no two have a prompt in common. */
  readonly facts: readonly Fact[];
  /** Each once. */
  readonly objects: readonly string[];
}

/** A relation with fewer patterns has nothing to rephrase with, with fewer facts or objects nothing to draw from. */
const least = { patterns: 2, facts: 20, objects: 3 };

const has = (slot: string) => (pattern: string) => pattern.split(slot).length === 2;

const patternSchema = z.object({
  relation: text,
  pattern: text
    .refine(has('[X]'), { error: "expected '[X]' once, where the subject belongs" })
    .refine(has('[Y]'), { error: "expected '[Y]' once, where the object belongs" }),
});

const factSchema = z
  .object({ relation: text, sub_label: text, obj_label: text })
  .transform(({ relation, sub_label, obj_label }) => ({
    relation,
    subject: sub_label.trim(),
    object: obj_label.trim(),
  }));

/** The prompt that asks for a fact's object. */
export const promptOf = (pattern: string, { subject }: Fact) => pattern.replace('[X]', () => subject);

/**
 * @param source its path is a folder with facts.jsonl and patterns.jsonl, each plain or `.gz`
 * @throws MalmenError for a missing or damaged file, or where no relation is large enough
 */
export async function readFactGroups(source: RecordSource): Promise<FactGroup[]> {
  const patterns = await readPatterns(await tableIn(source, 'patterns'));
  const facts = await readFacts(await tableIn(source, 'facts'), patterns);
  const groups = [...facts].map(([relation, list]) => ({
    relation,
    patterns: patterns.get(relation)!,
    facts: list,
    objects: [...new Set(list.map(({ object }) => object))],
  }));
  const large = groups.filter(({ facts, objects }) => facts.length >= least.facts && objects.length >= least.objects);
  if (large.length > 0 || source.problems.count > 0) return large;
  const { patterns: p, facts: f, objects: o } = least;
  const needed = `${p} patterns that end in [Y], ${f} facts and ${o} different objects`;
  throw new MalmenError('bad-input', `${source.path}: no relation has ${needed}, so there is nothing to draw from`);
}

async function tableIn(source: RecordSource, name: string): Promise<RecordSource> {
  for (const file of [`${name}.jsonl`, `${name}.jsonl.gz`]) {
    const path = join(source.path, file);
    if (await exists(path)) return { ...source, path };
  }
  throw new MalmenError(
    'not-found',
    `${source.path}: expected a folder with ${name}.jsonl or ${name}.jsonl.gz of ParaRel`,
  );
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Beginnings of the patterns that end in the object, by relation: what follows the object must be at most a full stop. */
async function readPatterns(table: RecordSource): Promise<Map<string, string[]>> {
  const byRelation = new Map<string, string[]>();
  for await (const { row } of readJsonLines(table, () => patternSchema)) {
    const beginning = /^(.*\[X\].*)\[Y\]\s*\.?\s*$/.exec(row.pattern)?.[1]?.trim();
    const known = entryAt(byRelation, row.relation, () => []);
    if (beginning && !known.includes(beginning)) known.push(beginning);
  }
  return new Map([...byRelation].filter(([, list]) => list.length >= least.patterns));
}

/**
 * The facts by relation, such that every prompt has one answer. Of facts with a prompt in common the first stays, also where
 * both have the same answer: an edit of the one would contradict the other.
 */
async function readFacts(table: RecordSource, patterns: ReadonlyMap<string, readonly string[]>) {
  const asked = new Set<string>();
  const byRelation = new Map<string, Fact[]>();
  for await (const { row: fact } of readJsonLines(table, () => factSchema)) {
    const prompts = patterns.get(fact.relation)?.map((pattern) => promptOf(pattern, fact)) ?? [];
    if (prompts.length === 0 || prompts.some((prompt) => asked.has(prompt))) continue;
    for (const prompt of prompts) asked.add(prompt);
    entryAt(byRelation, fact.relation, () => []).push(fact);
  }
  return byRelation;
}
