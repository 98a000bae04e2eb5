// Edit records from ParaRel: every prompt has one true answer, edits and reserved facts never meet, the same seed gives the same.

import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type PararelCorpus, pararelCorpus } from '../../src/data/pararel.js';
import { truthExamples } from '../../src/data/record.js';
import { readRecords } from '../../src/data/spec.js';
import { type FactRow, factRows, type PatternRow, patternRows, temporaryFolders } from './pararel-folder.js';
import { isAbsent, sharedPath } from './stored-data.js';
import { jsonLines, messageOf } from './temporary-files.js';

const writeFolder = temporaryFolders();

const towns = ['Tolm', 'Quen', 'Orlin', 'Vell'];
const places = ['[X] lies in [Y] .', '[X] is found in [Y].', 'You will see [X] in [Y]', '[X] of [Y] fame.'];
const rulers = ['[X] is ruled by [Y].', '[X] obeys [Y]'];
const facts = [...factRows('P1', 60, towns), ...factRows('P2', 40, ['Ada', 'Bo', 'Cy'])];
const patterns = [...patternRows('P1', places), ...patternRows('P2', rulers)];
const corpusOf = (factList: readonly FactRow[], patternList: readonly PatternRow[] = patterns) =>
  pararelCorpus(writeFolder({ 'facts.jsonl': factList, 'patterns.jsonl': patternList }));

/** What holds for every corpus, from whatever facts. */
function expectSound({ records, reserved, truths, relations }: PararelCorpus, rows: readonly FactRow[]): void {
  const true_ = new Map(truths.map(({ prompt, answer }) => [prompt, answer]));
  expect(true_.size).toBe(truths.length);
  const known = new Set(rows.map(({ relation, sub_label, obj_label }) => [relation, sub_label, obj_label].join('|')));
  const reservedIds = new Set(reserved.map(({ relation, subject }) => `${relation}:${subject}`));
  const reservedPrompts = new Map<string, string>();
  const counts = new Map(relations.map((one) => [one.relation, one]));
  expect(new Set(records.map(({ id }) => id)).size).toBe(records.length);
  const broken = records.filter((record) => {
    const { id, edit, rephrasings, unrelated, relation = '', subject = '', was = '' } = record;
    for (const { prompt, answer } of unrelated) reservedPrompts.set(prompt, answer);
    const own = [edit, ...rephrasings];
    return !(
      id === `${relation}:${subject}` &&
      known.has([relation, subject, was].join('|')) &&
      !reservedIds.has(id) &&
      edit.answer !== was &&
      own.length === counts.get(relation)!.patterns &&
      new Set(own.map(({ prompt }) => prompt)).size === own.length &&
      own.every(({ prompt, answer }) => true_.get(prompt) === was && answer === edit.answer) &&
      unrelated.length === 1 &&
      truthExamples(record).every(({ prompt, answer }) => true_.get(prompt) === answer)
    );
  });
  expect(broken).toEqual([]);
  const edited = new Set(
    records.flatMap(({ edit, rephrasings }) => [edit, ...rephrasings].map(({ prompt }) => prompt)),
  );
  expect([...reservedPrompts.keys()].filter((prompt) => edited.has(prompt))).toEqual([]);
  expect(edited.size + reserved.reduce((sum, { relation }) => sum + counts.get(relation)!.patterns, 0)).toBe(
    true_.size,
  );
  expect(relations.reduce((sum, one) => sum + one.records, 0)).toBe(records.length);
  expect(relations.reduce((sum, one) => sum + one.reserved, 0)).toBe(reserved.length);
}

describe('a made-up folder', () => {
  test('every fact is edited or reserved, in the patterns that end in the object', async () => {
    const corpus = await corpusOf(facts);
    expectSound(corpus, facts);
    expect(corpus.records.length + corpus.reserved.length).toBe(100);
    expect(corpus.relations.map(({ relation, patterns: count, objects }) => [relation, count, objects])).toEqual([
      ['P1', 3, 4],
      ['P2', 2, 3],
    ]);
    const { edit, rephrasings, was } = corpus.records.find(({ id }) => id === 'P1:P1 1')!;
    const prompts = [edit, ...rephrasings].map(({ prompt }) => prompt);
    expect(prompts.sort()).toEqual(['P1 1 is found in', 'P1 1 lies in', 'You will see P1 1 in']);
    expect([was, towns.includes(edit.answer)]).toEqual(['Quen', true]);
  });

  test('new objects, edit patterns and unrelated facts are drawn, not always the same', async () => {
    const { records } = await corpusOf(facts);
    const p1 = records.filter(({ relation }) => relation === 'P1');
    expect(new Set(p1.map(({ edit }) => edit.answer))).toEqual(new Set(towns));
    expect(new Set(p1.map(({ edit, subject }) => edit.prompt.replace(subject!, ''))).size).toBe(3);
    expect(new Set(p1.map(({ unrelated }) => unrelated[0]!.prompt)).size).toBeGreaterThan(3);
    const order = records.map(({ relation }) => relation);
    expect(new Set(order.slice(0, 20)).size).toBe(2);
  });

  test('the same folder and seed give the same; another seed other draws of the same facts', async () => {
    const folder = writeFolder({ 'facts.jsonl': facts, 'patterns.jsonl': patterns });
    const corpus = await pararelCorpus(folder);
    expect(await pararelCorpus(folder, { seed: 0 })).toEqual(corpus);
    expect(await readRecords(`pararel:${folder}`)).toEqual(corpus.records);
    expect(await readRecords(`pararel:${folder}#3:5`)).toEqual(corpus.records.slice(3, 5));
    const other = await pararelCorpus(folder, { seed: 1 });
    const ids = ({ records }: PararelCorpus) => records.map(({ id }) => id);
    expect(ids(other)).not.toEqual(ids(corpus));
    expect(ids(other).sort()).toEqual(ids(corpus).sort());
    expect(other.reserved).toEqual(corpus.reserved);
  });

  test('what is drawn for a fact does not depend on the facts of other relations', async () => {
    const [some, more] = [await corpusOf(facts.slice(0, 60)), await corpusOf(facts)];
    const byId = new Map(more.records.map((record) => [record.id, record]));
    expect(some.records.map(({ id }) => byId.get(id))).toEqual(some.records);
  });

  test('packed tables', async () => {
    const plain = await corpusOf(facts);
    const packed = { 'facts.jsonl.gz': gzipSync(jsonLines(facts)), 'patterns.jsonl.gz': gzipSync(jsonLines(patterns)) };
    expect(await pararelCorpus(writeFolder(packed))).toEqual(plain);
  });

  test('a subject with signs that mean something in a replacement', async () => {
    const special = { relation: 'P1', sub_label: "Joe $$ $& $' [1]", obj_label: 'Tolm' };
    const { truths } = await corpusOf([...facts, special]);
    expect(truths).toContainEqual({ prompt: "Joe $$ $& $' [1] lies in", answer: 'Tolm' });
  });
});

describe('what is left out', () => {
  const subjects = ({ records, reserved }: PararelCorpus) =>
    [...records.map(({ id }) => id), ...reserved.map(({ relation, subject }) => `${relation}:${subject}`)].sort();

  test.each<[string, FactRow, readonly PatternRow[]]>([
    ['a second object of a subject', { ...facts[0]!, obj_label: 'Quen' }, []],
    ['the same fact again', facts[0]!, []],
    ['a relation without patterns', { relation: 'P9', sub_label: 'x', obj_label: 'y' }, []],
    [
      'a fact of another relation that a prompt asks for too',
      { relation: 'P2', sub_label: 'P1 7', obj_label: 'Ada' },
      patternRows('P2', ['[X] lies in [Y].']),
    ],
  ])('%s', async (_, extra, morePatterns) => {
    const list = [...patterns, ...morePatterns];
    const corpus = await corpusOf([...facts, extra], list);
    expectSound(corpus, facts);
    expect(subjects(corpus)).toEqual(subjects(await corpusOf(facts, list)));
  });

  const p1 = [...factRows('P1', 60, towns)];
  test.each<[string, FactRow[], PatternRow[]]>([
    ['nineteen facts', factRows('P3', 19, towns), patternRows('P3', rulers)],
    ['two objects', factRows('P3', 40, ['Tolm', 'Quen']), patternRows('P3', rulers)],
    ['one pattern', factRows('P3', 40, towns), patternRows('P3', ['[X] obeys [Y]', '[X] is of [Y] kind.'])],
    ['one pattern twice', factRows('P3', 40, towns), patternRows('P3', ['[X] obeys [Y]', '[X] obeys [Y].'])],
    ['objects first', factRows('P3', 40, towns), patternRows('P3', ['[Y] rules [X]', '[Y] is above [X] .'])],
  ])('a relation with %s', async (_, more, morePatterns) => {
    const { relations } = await corpusOf([...p1, ...more], [...patterns, ...morePatterns]);
    expect(relations.map(({ relation }) => relation)).toEqual(['P1']);
    expect(await messageOf(corpusOf(more, morePatterns))).toMatch(
      /^bad-input: .*: no relation has 2 patterns.* 20 facts/,
    );
  });

  test('twenty facts with three objects are enough', async () => {
    const { relations } = await corpusOf(factRows('P3', 20, ['a', 'b', 'c']), patternRows('P3', rulers));
    expect(relations).toHaveLength(1);
  });
});

describe('bad folders', () => {
  test('a missing table', async () => {
    const folder = writeFolder({ 'facts.jsonl': facts });
    expect(await messageOf(pararelCorpus(folder))).toBe(
      `not-found: ${folder}: expected a folder with patterns.jsonl or patterns.jsonl.gz of ParaRel`,
    );
  });

  test('bad lines of both tables, all at once', async () => {
    const folder = writeFolder({
      'facts.jsonl': [...facts, { relation: 'P1', sub_label: '', obj_label: 5 }, { relation: 'P1', obj_label: 'y' }],
      'patterns.jsonl': [
        ...patterns,
        { relation: 'P1', pattern: 'Nobody obeys [Y]' },
        { relation: 'P1', pattern: '[X] [Y] [Y]' },
      ],
    });
    expect((await messageOf(pararelCorpus(folder))).split('\n')).toEqual([
      'bad-input: 5 problems',
      `${folder}/patterns.jsonl:7: pattern: expected '[X]' once, where the subject belongs, got "Nobody obeys [Y]"`,
      `${folder}/patterns.jsonl:8: pattern: expected '[Y]' once, where the object belongs, got "[X] [Y] [Y]"`,
      `${folder}/facts.jsonl:101: sub_label: expected text, got ""`,
      `${folder}/facts.jsonl:101: obj_label: expected text, got 5`,
      `${folder}/facts.jsonl:102: sub_label: expected text, got nothing`,
      expect.any(String),
    ]);
    expect(await readRecords(`pararel!:${folder}`)).toEqual((await corpusOf(facts)).records);
  });
});

const real = sharedPath('data/pararel');
const rowsOf = <Row>(name: string) =>
  gunzipSync(readFileSync(`${real}/${name}.jsonl.gz`))
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

describe.skipIf(isAbsent(real))('the real corpus', () => {
  test('well over ten thousand facts to edit, each prompt with one answer', async () => {
    const corpus = await pararelCorpus(real);
    const { records, reserved, relations } = corpus;
    expectSound(
      corpus,
      rowsOf<FactRow>('facts').map((row) => ({ ...row, sub_label: row.sub_label.trim() })),
    );
    expect([records.length, reserved.length, corpus.truths.length]).toEqual([19_664, 3_931, 135_458]);
    const share = reserved.length / (records.length + reserved.length);
    expect(Math.abs(share - 1 / 6)).toBeLessThan(0.01);
    // The patterns that suit a decoder, counted from the table: 214 of 39 relations, of which some have only one.
    const suitable = rowsOf<PatternRow>('patterns').filter(({ pattern }) => /\[Y\] ?\.?$/.test(pattern.trim()));
    expect(suitable).toHaveLength(214);
    for (const { relation, patterns: count } of relations)
      expect(count).toBeLessThanOrEqual(suitable.filter((row) => row.relation === relation).length);
    const mixed = new Set(records.slice(0, 500).map(({ relation }) => relation));
    expect(mixed.size).toBeGreaterThan(relations.length / 2);
  });

  test('every fact that is left out has a reason in the tables', async () => {
    const { truths, relations } = await pararelCorpus(real);
    const asked = new Set(truths.map(({ prompt }) => prompt));
    const kept = new Set(relations.map(({ relation }) => relation));
    const beginnings = rowsOf<PatternRow>('patterns')
      .filter(({ pattern }) => /\[Y\] ?\.?$/.test(pattern.trim()))
      .map(({ relation, pattern }) => ({ relation, beginning: pattern.slice(0, pattern.indexOf('[Y]')).trim() }));
    const unexplained = rowsOf<FactRow>('facts').filter(
      ({ relation, sub_label }) =>
        kept.has(relation) &&
        !beginnings.some(
          (one) => one.relation === relation && asked.has(one.beginning.split('[X]').join(sub_label.trim())),
        ),
    );
    expect(unexplained).toEqual([]);
  });
});
