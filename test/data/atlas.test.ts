// Edit records from atlas: what is taught, what is held out, what is reserved, what is drawn. From made-up tables and the real ones.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { atlasFolder, atlasRecords, reservedFacts } from '../../src/data/atlas.js';
import { type AtlasFact, type AtlasRelation, promptOf, readAtlasRelations } from '../../src/data/atlas-tables.js';
import { Problems } from '../../src/data/problems.js';
import { type EditRecord, type Example, truthExamples } from '../../src/data/record.js';
import { readRecords } from '../../src/data/spec.js';
import { temporaryFolders } from './pararel-folder.js';
import { messageOf } from './temporary-files.js';

const writeFolder = temporaryFolders();

/** Cells are written with bars, which read better than tabs. */
const table = (...lines: readonly string[]) => lines.map((line) => `${line.replaceAll('|', '\t')}\n`).join('');

const phrasings = [
  'relation|use|phrasing',
  'ruler|trained|[X] is ruled by',
  'ruler|trained|Who rules [X]?',
  'ruler|held-out|Tell me who rules [X]:',
  'sea|trained|[X] lies by the',
  'sea|trained|The sea of [X] is the',
  'sea|trained|Which sea is [X] by? The',
  'sea|held-out|As for [X], its sea is the',
];
const towns = [
  'town|ruler|sea',
  'Tolm|Ada|Salt',
  'the Quen|Bo; Cy|',
  'Orlin|Cy|Glass',
  'Vell|Ada|Salt',
  'Nar|Dov|Reed',
];
const folderOf = (lines: readonly string[] = towns, words: readonly string[] = phrasings) =>
  writeFolder({ 'towns.tsv': table(...lines), 'phrasings.tsv': table(...words) });

async function relationsOf(folder: string): Promise<AtlasRelation[]> {
  const problems = new Problems();
  const relations = await readAtlasRelations({ path: folder, problems, signal: undefined });
  problems.throwIfAny();
  return relations;
}

const promptsOf = (examples: readonly Example[]) => examples.map(({ prompt }) => prompt);
const line = ({ prompt, answer }: Example) => `${prompt} ${answer}`;
const said = (facts: readonly AtlasFact[], words: readonly string[]) =>
  facts.flatMap((fact) => words.map((phrasing) => `${promptOf(phrasing, fact)} ${fact.object}`));

/** What holds for every atlas, read either way. */
function expectSound(relations: readonly AtlasRelation[], seed = 0): void {
  const [trained, heldOut] = (['trained', 'heldOut'] as const).map((rephrasedBy) =>
    atlasRecords(relations, { rephrasedBy, seed }),
  ) as [EditRecord[], EditRecord[]];
  const facts = relations.flatMap((group) => group.facts);
  const reserved = relations.flatMap(reservedFacts);
  const idOf = ({ relation, subject }: AtlasFact) => `atlas:${relation}:${subject}`;
  const reservedIds = new Set(reserved.map(idOf));
  const editable = facts.map(idOf).filter((id) => !reservedIds.has(id));
  expect(trained.map(({ id }) => id).sort()).toEqual(editable.sort());

  // All that a model is taught from the trained ones: every fact, reserved or not, in every trained phrasing, and nothing else.
  const taught = new Set(trained.flatMap(truthExamples).map(line));
  expect([...taught].sort()).toEqual([...new Set(relations.flatMap((one) => said(one.facts, one.trained)))].sort());

  const truths = new Map<string, Set<string>>();
  for (const { subject, object, alsoTrue } of facts)
    truths.set(subject, new Set([...(truths.get(subject) ?? []), object, ...alsoTrue]));
  const byRelation = new Map(relations.map((one) => [one.relation, one]));
  const objects = new Map(relations.map((one) => [one.relation, new Set(one.facts.map(({ object }) => object))]));
  const byId = new Map(facts.map((fact) => [idOf(fact), fact]));
  const reservedPrompts = new Set(relations.flatMap((one) => said(reservedFacts(one), one.trained)));
  expect(trained.filter((record) => !isSound(record))).toEqual([]);

  function isSound({ id, edit, rephrasings, unrelated, relation = '', subject = '' }: EditRecord): boolean {
    const group = byRelation.get(relation)!;
    const fact = byId.get(id)!;
    const own = promptsOf([edit, ...rephrasings]).sort();
    return (
      !truths.get(subject)!.has(edit.answer) &&
      objects.get(relation)!.has(edit.answer) &&
      rephrasings.every(({ answer }) => answer === edit.answer) &&
      String(own) === String(group.trained.map((phrasing) => promptOf(phrasing, fact)).sort()) &&
      unrelated.length > 0 &&
      unrelated.every((example) => reservedPrompts.has(line(example)))
    );
  }

  // Held out: the same records but for the rephrasings, which are the held-out phrasings.
  const withoutRephrasings = (records: EditRecord[]) => records.map((record) => ({ ...record, rephrasings: [] }));
  expect(withoutRephrasings(heldOut)).toEqual(withoutRephrasings(trained));
  const taughtPrompts = new Set(promptsOf(trained.flatMap(truthExamples)));
  const leaked = heldOut.filter(({ id, edit, rephrasings, relation }) => {
    const fact = byId.get(id)!;
    const expected = byRelation
      .get(relation!)!
      .heldOut.map((phrasing) => ({ prompt: promptOf(phrasing, fact), answer: edit.answer }));
    return (
      JSON.stringify(rephrasings) !== JSON.stringify(expected) ||
      rephrasings.some(({ prompt }) => taughtPrompts.has(prompt))
    );
  });
  expect(leaked).toEqual([]);
}

describe('made-up tables', () => {
  test('become facts and phrasings of their relations', async () => {
    const [ruler, sea] = await relationsOf(folderOf());
    expect(ruler).toMatchObject({
      relation: 'ruler',
      trained: ['[X] is ruled by', 'Who rules [X]?'],
      heldOut: ['Tell me who rules [X]:'],
    });
    expect(ruler!.facts[1]).toEqual({ relation: 'ruler', subject: 'the Quen', object: 'Bo', alsoTrue: ['Cy'] });
    expect(sea!.facts.map(({ subject }) => subject)).toEqual(['Tolm', 'Orlin', 'Vell', 'Nar']);
    expect(promptOf('[X] is ruled by', ruler!.facts[1]!)).toBe('The Quen is ruled by');
    expect(promptOf('Who rules [X]?', ruler!.facts[1]!)).toBe('Who rules the Quen?');
  });

  test('give sound records', async () => {
    expectSound(await relationsOf(folderOf()));
  });

  test('a subject with signs that mean something in a replacement', async () => {
    const [ruler] = await relationsOf(folderOf([...towns, "Joe $$ $& $'|Ada|Salt"]));
    expect(promptOf('Who rules [X]?', ruler!.facts.at(-1)!)).toBe("Who rules Joe $$ $& $'?");
  });

  test('where everything is true there is nothing to edit to', async () => {
    const lines = ['town|ruler', 'Tolm|Ada; Bo', 'Quen|Bo; Ada', 'Vell|Ada; Bo'];
    const words = phrasings.filter((one) => !one.startsWith('sea'));
    expect(await messageOf(readRecords(`atlas:${folderOf(lines, words)}`))).toMatch(
      /^bad-input: every answer of relation 'ruler' is true of '\w+'/,
    );
  });
});

/** Relations of made-up words. Subjects of different relations may be the same. */
const anyRelations: fc.Arbitrary<AtlasRelation[]> = fc
  .array(
    fc.record({
      size: fc.integer({ min: 2, max: 40 }),
      objects: fc.integer({ min: 3, max: 9 }),
      trained: fc.integer({ min: 2, max: 9 }),
      heldOut: fc.integer({ min: 1, max: 4 }),
      alsoTrue: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((shapes) =>
    shapes.map((shape, at) => ({
      relation: `r${at}`,
      trained: Array.from({ length: shape.trained }, (_, i) => `[X] ${i} r${at}`),
      heldOut: Array.from({ length: shape.heldOut }, (_, i) => `Held ${i} r${at} [X]:`),
      facts: Array.from({ length: shape.size }, (_, i) => ({
        relation: `r${at}`,
        subject: `s${i}`,
        // Of another relation's objects none: all stays editable.
        object: `r${at}o${i % shape.objects}`,
        alsoTrue: shape.alsoTrue && i % 3 === 0 ? [`r${at}o${(i + 1) % shape.objects}`] : [],
      })),
    })),
  )
  .filter((relations) => relations.every(({ facts }) => new Set(facts.map(({ object }) => object)).size > 2));

describe('whatever the tables', () => {
  test('records are sound for every seed', () => {
    fc.assert(
      fc.property(anyRelations, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (relations, seed) => {
        expectSound(relations, seed);
      }),
      { numRuns: 60 },
    );
  });

  test('the same seed gives the same; reserved facts depend on neither seed nor order', () => {
    fc.assert(
      fc.property(anyRelations, fc.nat(), (relations, seed) => {
        const draw = (from: number) => atlasRecords(relations, { rephrasedBy: 'trained', seed: from });
        expect(draw(seed)).toEqual(draw(seed));
        const ids = (from: number) => draw(from).map(({ id }) => id);
        expect(ids(seed + 1).sort()).toEqual(ids(seed).sort());
        for (const group of relations) {
          const reversed = { ...group, facts: group.facts.toReversed() };
          expect(reservedFacts(reversed)).toEqual(reservedFacts(group));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('two slices share, of a relation, at most the reserved fact at the cut', () => {
    fc.assert(
      fc.property(anyRelations, fc.double({ min: 0.1, max: 0.9, noNaN: true }), (relations, share) => {
        const records = atlasRecords(relations, { rephrasedBy: 'trained' });
        const cut = Math.floor(records.length * share);
        for (const group of relations) {
          const reserved = reservedFacts(group);
          const askedBy = (some: readonly EditRecord[]) => {
            const prompts = new Set(promptsOf(some.flatMap(({ unrelated }) => unrelated)));
            return reserved.filter((fact) => group.trained.some((one) => prompts.has(promptOf(one, fact))));
          };
          const before = new Set(askedBy(records.slice(0, cut)));
          expect(askedBy(records.slice(cut)).filter((fact) => before.has(fact)).length).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('bad tables', () => {
  test.each<[string, readonly string[], readonly string[], string]>([
    ['a line too short', [...towns, 'Ib|Ada'], phrasings, 'towns.tsv:7: expected 3 cells between tabs, got 2'],
    ['a subject twice', [...towns, 'Tolm|Bo|'], phrasings, "towns.tsv:7: subject 'Tolm' stands above"],
    ['no subject', [...towns, '|Bo|'], phrasings, 'towns.tsv:7: the line has no subject'],
    ['a blank too many', [...towns, 'Ib |Bo|'], phrasings, "towns.tsv:7: stray white space in 'Ib '"],
    [
      'an unknown use',
      towns,
      [...phrasings, 'sea|tested|[X]:'],
      "phrasings.tsv:9: use: expected 'trained' or 'held-out'",
    ],
    [
      'no slot',
      towns,
      [...phrasings, 'sea|trained|It is'],
      "phrasings.tsv:9: phrasing: expected [X] once, got 'It is'",
    ],
    ['two slots', towns, [...phrasings, 'sea|trained|[X] [X]'], "phrasing: expected [X] once, got '[X] [X]'"],
    ['trained and held out', towns, [...phrasings, 'sea|held-out|[X] lies by the'], 'this phrasing stands above'],
    ['words without facts', towns, [...phrasings, 'x|trained|[X]:'], "relation 'x' has phrasings and no facts"],
    ['nothing held out', towns, phrasings.slice(0, -1), "relation 'sea' needs at least 1 held-out phrasing, got 0"],
    ['one word', towns, phrasings.toSpliced(1, 1), "relation 'ruler' needs at least 2 trained phrasings, got 1"],
    ['one object', towns.slice(0, 2), phrasings, "'ruler' needs at least 2 different objects, got 1"],
  ])('%s is named', async (_, lines, words, problem) => {
    expect(await messageOf(readRecords(`atlas:${folderOf(lines, words)}`))).toContain(problem);
  });

  test('all at once, and left out where asked to', async () => {
    const folder = folderOf([...towns, 'Ib|Ada', 'Tolm|Bo|']);
    expect(await messageOf(readRecords(`atlas:${folder}`))).toMatch(/^bad-input: 2 problems\n/);
    expect(await readRecords(`atlas!:${folder}`)).toEqual(await readRecords(`atlas:${folderOf()}`));
  });

  test('a relation in two tables', async () => {
    const more = table('village|ruler', 'Ib|Ada');
    const folder = writeFolder({ 'a.tsv': more, 'towns.tsv': table(...towns), 'phrasings.tsv': table(...phrasings) });
    expect(await messageOf(readRecords(`atlas:${folder}`))).toMatch(
      /towns\.tsv: relation 'ruler' has a column already/,
    );
  });

  test('other columns of the phrasings, and no table beside them', async () => {
    const other = writeFolder({ 'phrasings.tsv': table('relation|phrasing', 'sea|[X]:') });
    expect(await messageOf(readRecords(`atlas:${other}`))).toMatch('expected the columns relation, use, phrasing');
    const alone = writeFolder({ 'phrasings.tsv': table(...phrasings) });
    expect(await messageOf(readRecords(`atlas:${alone}`))).toMatch('no table beside phrasings.tsv holds a fact');
    const empty = writeFolder({ 'phrasings.tsv': table(phrasings[0]!) });
    expect(await messageOf(readRecords(`atlas:${empty}`))).toMatch('no table beside phrasings.tsv holds a fact');
  });
});

describe('the shipped atlas', () => {
  test('gives sound records', async () => {
    expectSound(await relationsOf(atlasFolder));
  });

  test('is read without a path, whole or in slices that mix the relations', async () => {
    const all = await readRecords('atlas:');
    const relations = await relationsOf(atlasFolder);
    expect(all).toEqual(atlasRecords(relations, { rephrasedBy: 'trained' }));
    const first = await readRecords('atlas-held-out:#1000');
    expect(first).toEqual(atlasRecords(relations, { rephrasedBy: 'heldOut' }).slice(0, 1000));
    expect(new Set(first.map(({ relation }) => relation)).size).toBe(relations.length);
    expect(new Set(all.slice(1000).map(({ relation }) => relation)).size).toBe(relations.length);
  });
});
