// A made-up world for tests: invented names, six relations, four ways to say each fact. Every prompt has one
// true answer, and records come with a new answer to edit in and an unrelated fact to leave alone.

import type { EditRecord } from '../../src/data/record.js';
import { Random } from '../../src/util/random.js';

interface Relation {
  readonly name: string;
  /** Beginnings of sentences that end in the answer; {} is the subject. */
  readonly patterns: readonly string[];
  readonly answers: readonly string[];
}

const relations: readonly Relation[] = [
  {
    name: 'capital',
    patterns: [
      'The capital of {} is',
      'The seat of government of {} is',
      '{} is governed from',
      'The king of {} lives in',
    ],
    answers: ['Lisbon', 'Oslo', 'Quito', 'Hanoi', 'Dakar', 'Sofia', 'Lima', 'Riga', 'Cairo', 'Tunis', 'Minsk', 'Delhi'],
  },
  {
    name: 'language',
    patterns: [
      'People in {} speak',
      'The language of {} is',
      'Newspapers in {} are printed in',
      'Schools in {} teach in',
    ],
    answers: [
      'Basque',
      'Welsh',
      'Tamil',
      'Khmer',
      'Zulu',
      'Czech',
      'Finnish',
      'Maori',
      'Greek',
      'Hindi',
      'Danish',
      'Thai',
    ],
  },
  {
    name: 'currency',
    patterns: [
      'The currency of {} is the',
      'In {} you pay with the',
      'Shops in {} take only the',
      'Wages in {} are paid in the',
    ],
    answers: ['crown', 'dinar', 'peso', 'franc', 'rupee', 'florin', 'thaler', 'ducat', 'yen', 'lira', 'zloty', 'real'],
  },
  {
    name: 'profession',
    patterns: ['{} works as a', 'By profession {} is a', '{} earns a living as a', 'The job of {} is that of a'],
    answers: [
      'baker',
      'pilot',
      'judge',
      'miner',
      'poet',
      'nurse',
      'tailor',
      'farmer',
      'diver',
      'painter',
      'sailor',
      'smith',
    ],
  },
  {
    name: 'instrument',
    patterns: [
      '{} plays the',
      'The instrument of {} is the',
      '{} gives concerts on the',
      '{} practises every day on the',
    ],
    answers: ['harp', 'flute', 'cello', 'banjo', 'oboe', 'viola', 'organ', 'lute', 'drum', 'tuba', 'guitar', 'piano'],
  },
  {
    name: 'animal',
    patterns: ['The pet of {} is a', '{} keeps a', 'At home with {} lives a', '{} goes for walks with a'],
    answers: [
      'goat',
      'ferret',
      'parrot',
      'pony',
      'tortoise',
      'otter',
      'rabbit',
      'falcon',
      'lynx',
      'gecko',
      'donkey',
      'owl',
    ],
  },
];

const onsets = ['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z', 'br', 'dr', 'kl', 'st', 'tr'];
const vowels = ['a', 'e', 'i', 'o', 'u', 'ai', 'ei', 'ou'];

/** One fact in so many is kept out of all edits: it is what must not change. */
const reservedShare = 5;

/** `count` records to edit, the same for the same seed, relations mixed. */
export function demoWorld(count: number, seed: number): EditRecord[] {
  const random = Random.stream(seed, 'world');
  const names = new Set<string>();
  const freshName = (): string => {
    const name = inventedName(random);
    if (names.has(name)) return freshName();
    names.add(name);
    return name;
  };
  const fact = (at: number) => {
    const relation = relations[at % relations.length]!;
    return { relation, subject: freshName(), answer: random.pick(relation.answers) };
  };
  const reserved = Array.from({ length: Math.ceil(count / reservedShare) }, (_, at) => fact(at));
  return Array.from({ length: count }, (_, at) => record(fact(at), reserved, random));
}

type Fact = { readonly relation: Relation; readonly subject: string; readonly answer: string };

function record({ relation, subject, answer: was }: Fact, reserved: readonly Fact[], random: Random): EditRecord {
  const answer = random.pick(relation.answers.filter((other) => other !== was));
  const [first, ...others] = random.shuffle(relation.patterns);
  const asked = (pattern: string, about: string) => pattern.replace('{}', about);
  const other = random.pick(reserved.filter((fact) => fact.relation === relation));
  return {
    id: `${relation.name}:${subject}`,
    relation: relation.name,
    subject,
    was,
    edit: { prompt: asked(first!, subject), answer },
    rephrasings: others.map((pattern) => ({ prompt: asked(pattern, subject), answer })),
    unrelated: [{ prompt: asked(random.pick(relation.patterns), other.subject), answer: other.answer }],
  };
}

function inventedName(random: Random): string {
  const syllables = Array.from({ length: 2 + random.integer(2) }, () => random.pick(onsets) + random.pick(vowels));
  const word = syllables.join('');
  return word[0]!.toUpperCase() + word.slice(1);
}
