// The shipped atlas: what can be checked of its facts and phrasings without an encyclopaedia. Names, codes and numbers are held against
// what the platform knows (Unicode's names of regions), against rules (the periodic table, dialling zones) and against each other.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { atlasFolder } from '../../src/data/atlas.js';
import { type AtlasFact, promptOf, readAtlasRelations } from '../../src/data/atlas-tables.js';
import { Problems } from '../../src/data/problems.js';

const problems = new Problems();
const relations = await readAtlasRelations({ path: atlasFolder, problems, signal: undefined });
const facts = relations.flatMap((group) => group.facts);
const phrasings = relations.flatMap(({ relation, trained, heldOut }) =>
  [...trained, ...heldOut].map((phrasing) => ({ relation, phrasing })),
);

function factsOf(relation: string): readonly AtlasFact[] {
  const group = relations.find((one) => one.relation === relation);
  if (!group) throw new TypeError(`atlas has no relation '${relation}'`);
  return group.facts;
}

const answersOf = (relation: string) => new Map(factsOf(relation).map(({ subject, object }) => [subject, object]));

describe('size and form', () => {
  test('no line is wrong', () => {
    expect(() => problems.throwIfAny()).not.toThrow();
  });

  test('enough facts in enough relations', () => {
    expect(facts.length).toBeGreaterThanOrEqual(4_000);
    expect(relations.length).toBeGreaterThanOrEqual(30);
    expect(relations.filter((group) => group.facts.length < 30).map(({ relation }) => relation)).toEqual([]);
  });

  test('at least eight phrasings a relation, two of them held out, questions among them', () => {
    const poor = relations.filter(
      ({ trained, heldOut }) =>
        trained.length + heldOut.length < 8 || heldOut.length < 2 || !trained.some((one) => one.includes('?')),
    );
    expect(poor.map(({ relation }) => relation)).toEqual([]);
  });

  test('answers are short, and written with a few signs only', () => {
    const words = (text: string) => text.replace(/^the /, '').split(' ').length;
    const countries = new Set(factsOf('capital').map(({ subject }) => subject));
    const long = facts.filter(({ object }) => words(object) > 3 && !countries.has(object));
    expect(long.map(({ object }) => object)).toEqual([]);
    const strange = facts.flatMap(({ subject, object, alsoTrue }) =>
      [subject, object, ...alsoTrue].filter((text) => !/^[\p{Script=Latin}\d .,'&!?:+/#*-]+$/u.test(text)),
    );
    expect(strange).toEqual([]);
  });

  test('names are composed characters, once each', () => {
    const text = readdirSync(atlasFolder).map((name) => readFileSync(join(atlasFolder, name), 'utf8'));
    expect(text.filter((one) => one !== one.normalize('NFC'))).toEqual([]);
  });
});

describe('contradictions', () => {
  test('every prompt of the whole atlas has one answer', () => {
    const answers = new Map<string, string>();
    const clashes: string[] = [];
    for (const { facts: list, trained, heldOut } of relations)
      for (const fact of list)
        for (const phrasing of [...trained, ...heldOut]) {
          const prompt = promptOf(phrasing, fact);
          if (answers.has(prompt)) clashes.push(`${prompt} ${answers.get(prompt)} / ${fact.object}`);
          answers.set(prompt, fact.object);
        }
    expect(clashes).toEqual([]);
    expect(answers.size).toBeGreaterThan(30_000);
  });

  test('an answer is spelt in one way', () => {
    const plain = (text: string) =>
      text
        .normalize('NFD')
        .replace(/\p{M}|[^\p{L}\p{N}+#.]/gu, '')
        .toLowerCase()
        .replace(/^the/, '');
    const spellings = new Map<string, Set<string>>();
    for (const { relation, object } of facts.filter(({ relation: one }) => one !== 'symbol')) {
      const known = spellings.get(plain(object)) ?? new Set();
      spellings.set(plain(object), known.add(relation === 'symbol' ? object.toLowerCase() : object));
    }
    const several = [...spellings.values()].filter((one) => one.size > 1).map((one) => [...one].join(' / '));
    expect(several).toEqual(knownTwins);
  });
});

/** Different things that look alike but for accents. */
const knownTwins: readonly string[] = ['króna / krona'];

describe('grammar', () => {
  test('phrasings begin like a sentence and end where an answer can begin', () => {
    const wrong = phrasings.filter(
      ({ phrasing }) =>
        !/^(\[X\]|\p{Lu})/u.test(phrasing) || !/(?:[\p{Ll}?:]|, )$/u.test(phrasing) || /\b(?:an?|A)$/.test(phrasing),
    );
    expect(wrong).toEqual([]);
  });

  test('a question begins with a question word, and all question marks end questions', () => {
    const question =
      /^(?:Question: )?(?:(?:For|In|On|By|To|From|Of|At|Into|With) )?(?:Which|What|Who|Where|Whose|How)\b[^?]*\?/i;
    expect(phrasings.filter(({ phrasing }) => phrasing.includes('?') && !question.test(phrasing))).toEqual([]);
    const asked = phrasings.filter(({ phrasing }) => /^(?:Which|What|Who|Where|Whose|How)\b/.test(phrasing));
    expect(asked.filter(({ phrasing }) => !phrasing.includes('?'))).toEqual([]);
    const labelled = phrasings.filter(
      ({ phrasing }) => phrasing.startsWith('Question:') || phrasing.includes('Answer:'),
    );
    expect(labelled.filter(({ phrasing }) => !/^Question: .*\? Answer:/.test(phrasing))).toEqual([]);
  });

  test('subjects bring their own article: no phrasing adds one, or an ending that would not suit', () => {
    expect(phrasings.filter(({ phrasing }) => /\b(?:the|an?) \[X\]|\[X\]['’]|\[X\]s/i.test(phrasing))).toEqual([]);
  });

  test('a noun before the subject is followed by a name, not by an article', () => {
    const before =
      /\bthe (?:river|lake|island|mountain|country|city|company|film|element|region|language|moon|airport|planet) \[X\]/i;
    for (const { relation } of phrasings.filter((one) => before.test(one.phrasing)))
      expect(factsOf(relation).filter(({ subject }) => subject.startsWith('the '))).toEqual([]);
  });

  const articled =
    /^(?:United|Netherlands|Philippines|Bahamas|Maldives|Gambia|Comoros|Solomon Islands|Marshall Islands|(?:Czech|Dominican|Central African|Democratic) Republic|Republic of)\b/;

  test('countries that need an article have it wherever they stand', () => {
    const names = facts.flatMap(({ subject, object }) => [subject, object]);
    expect(names.filter((name) => articled.test(name))).toEqual([]);
    const countries = factsOf('internet-domain').map(({ subject }) => subject);
    expect(countries.filter((name) => name.startsWith('the ') && !articled.test(name.slice(4)))).toEqual([]);
  });

  test('rivers and animals are spoken of with an article', () => {
    const named = ['river-continent', 'animal-group'].flatMap((relation) => factsOf(relation));
    expect(named.filter(({ subject }) => !subject.startsWith('the '))).toEqual([]);
  });

  test('a subject that opens a sentence is capitalised', () => {
    const opening = phrasings.filter(({ phrasing }) => phrasing.startsWith('[X]'));
    for (const { relation, phrasing } of opening)
      expect(factsOf(relation).filter((fact) => !/^[\p{Lu}\d']/u.test(promptOf(phrasing, fact)))).toEqual([]);
  });
});

describe('countries', () => {
  const domains = answersOf('internet-domain');
  const codes = answersOf('calling-code');
  const continents = answersOf('continent');

  /** Where our name is another than Unicode's. */
  const otherNames: Readonly<Record<string, string>> = {
    'Côte d’Ivoire': 'Ivory Coast',
    'Congo - Kinshasa': 'the Democratic Republic of the Congo',
    'Congo - Brazzaville': 'the Republic of the Congo',
    Czechia: 'the Czech Republic',
    'Myanmar (Burma)': 'Myanmar',
    Türkiye: 'Turkey',
    'Timor-Leste': 'East Timor',
    'St. Vincent & Grenadines': 'Saint Vincent and the Grenadines',
  };

  const bare = (subject: string) => subject.replace(/^the /, '');

  test('internet domains are those of the region that Unicode calls so', () => {
    const names = new Intl.DisplayNames('en', { type: 'region' });
    const ours = (name: string) => otherNames[name] ?? name.replace(' & ', ' and ').replace(/^St\. /, 'Saint ');
    const regionOf = (domain: string) => (domain === '.uk' ? 'GB' : domain.slice(1).toUpperCase());
    const wrong = [...domains].filter(([subject, domain]) => bare(ours(names.of(regionOf(domain))!)) !== bare(subject));
    expect(wrong).toEqual([]);
  });

  test('domains are of two letters, each of one country', () => {
    expect([...domains.values()].filter((domain) => !/^\.[a-z]{2}$/.test(domain))).toEqual([]);
    expect(new Set(domains.values()).size).toBe(domains.size);
    expect(domains.size).toBeGreaterThan(190);
  });

  test('every country, wherever it stands, is one of the table', () => {
    const places = relations.filter(({ relation }) => relation.endsWith('-country')).flatMap((group) => group.facts);
    expect(places.length).toBeGreaterThan(500);
    expect(places.filter(({ object }) => !domains.has(object))).toEqual([]);
  });

  test('no calling code begins another, and only +1 is shared', () => {
    const all = [...codes.values()];
    expect(all.filter((code) => !/^[1-9]\d{0,2}$/.test(code))).toEqual([]);
    expect(all.filter((code) => all.some((other) => other !== code && other.startsWith(code)))).toEqual([]);
    expect(all.length - new Set(all).size).toBe(1);
  });

  test('calling codes lie in the zone of their continent', () => {
    const zones: Readonly<Record<string, readonly string[]>> = {
      1: ['North America'],
      2: ['Africa'],
      3: ['Europe'],
      4: ['Europe'],
      5: ['North America', 'South America'],
      6: ['Asia', 'Oceania'],
      8: ['Asia'],
      9: ['Asia'],
    };
    const wrong = [...codes].filter(([subject, code]) => {
      const continent = continents.get(subject);
      return continent !== undefined && !zones[code[0]!]?.includes(continent);
    });
    expect(wrong).toEqual([]);
    const african = [...continents].filter(([, continent]) => continent === 'Africa').map(([subject]) => subject);
    expect(african.filter((subject) => !codes.get(subject)?.startsWith('2'))).toEqual([]);
  });

  test('the euro is paid in Europe', () => {
    const paid = factsOf('currency').filter(({ object }) => object === 'euro');
    expect(paid.length).toBeGreaterThan(20);
    expect(paid.filter(({ subject }) => (continents.get(subject) ?? 'Europe') !== 'Europe')).toEqual([]);
  });
});

describe('elements', () => {
  const numbers = answersOf('atomic-number');
  const symbols = answersOf('symbol');
  const nobleGases = [2, 10, 18, 36, 54, 86];
  const numberOf = ({ subject }: AtlasFact) => Number(numbers.get(subject));

  test('are 118, numbered in order, each with a symbol of its own', () => {
    expect([...numbers.values()]).toEqual(Array.from({ length: 118 }, (_, at) => String(at + 1)));
    expect(new Set(symbols.values()).size).toBe(118);
    expect([...symbols.values()].filter((symbol) => !/^[A-Z][a-z]?$/.test(symbol))).toEqual([]);
  });

  test('symbols are letters of the names, but for the eleven that are Latin, Greek or German', () => {
    const isIn = (symbol: string, name: string) => new RegExp(`^${[...symbol.toLowerCase()].join('.*')}`).test(name);
    const foreign = [...symbols].filter(([name, symbol]) => !isIn(symbol, name)).map(([, symbol]) => symbol);
    expect(foreign.sort()).toEqual(['Ag', 'Au', 'Cu', 'Fe', 'Hg', 'K', 'Na', 'Pb', 'Sb', 'Sn', 'W']);
  });

  test('kinds stand where the table has them', () => {
    const of = (kind: string) =>
      factsOf('element-kind')
        .filter(({ object }) => object === kind)
        .map(numberOf);
    const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at);
    expect(of('noble gases')).toEqual(nobleGases);
    expect(of('alkali metals')).toEqual([3, 11, 19, 37, 55, 87]);
    expect(of('alkaline earth metals')).toEqual([4, 12, 20, 38, 56, 88]);
    expect(of('halogens')).toEqual([9, 17, 35, 53, 85]);
    expect(of('lanthanides')).toEqual(range(57, 71));
    expect(of('actinides')).toEqual(range(89, 103));
    const inBlockD = (number: number) => [21, 39, 72, 104].some((first) => number >= first && number < first + 9);
    expect(of('transition metals').filter((number) => !inBlockD(number))).toEqual([]);
  });
});

describe('places', () => {
  /** Every city whose country a table says, in whatever column. */
  const countryOf = new Map<string, string>();
  const regionCountries = answersOf('region-country');
  const companyCountries = answersOf('company-country');
  const contradictions: string[] = [];
  const tell = (city: string, country: string) => {
    const known = countryOf.get(city) ?? country;
    if (known !== country) contradictions.push(`${city}: ${known} / ${country}`);
    countryOf.set(city, known);
  };
  for (const { subject, object } of factsOf('city-country')) tell(subject, object);
  for (const { subject, object } of factsOf('capital')) tell(object, subject);
  for (const { subject, object } of factsOf('regional-capital')) tell(object, regionCountries.get(subject)!);
  for (const { subject, object } of factsOf('headquarters')) tell(object, companyCountries.get(subject)!);

  /** Cities that share their name with one of another country. */
  const namesakes = ["St. John's: Antigua and Barbuda / Canada", 'Victoria: Seychelles / Canada'];

  test('a city lies in one country, whatever table says so', () => {
    expect(contradictions.sort()).toEqual(namesakes);
    expect(countryOf.size).toBeGreaterThan(500);
  });

  test('landmarks and airports are in cities whose country is known', () => {
    const cities = [...factsOf('landmark-city'), ...factsOf('airport-city')].map(({ object }) => object);
    expect([...new Set(cities)].filter((city) => !countryOf.has(city))).toEqual([]);
  });

  test('an airport has a code of three letters', () => {
    expect(factsOf('airport-city').filter(({ subject }) => !/^[A-Z]{3}$/.test(subject))).toEqual([]);
  });

  test('a river flows into a sea or into another river of its continent', () => {
    const continents = answersOf('river-continent');
    const isSea = (name: string) =>
      / (?:Sea|Ocean|Channel|Bay)$|^the (?:Bay|Gulf) of |^the (?:Atlantic|Pacific|Mediterranean|Adriatic)$/.test(name);
    const wrong = factsOf('river-mouth').filter(
      ({ subject, object }) => !isSea(object) && continents.get(object) !== continents.get(subject),
    );
    expect(wrong).toEqual([]);
  });
});

describe('persons', () => {
  const fields = answersOf('field');

  test('are famous for what they made', () => {
    const makers = {
      author: ['literature', 'philosophy'],
      painter: ['painting'],
      composer: ['music'],
      director: ['film'],
    };
    for (const [relation, expected] of Object.entries(makers)) {
      const known = factsOf(relation).filter(({ object }) => fields.has(object));
      expect(known.length).toBeGreaterThan(5);
      expect(known.filter(({ object }) => !expected.includes(fields.get(object)!))).toEqual([]);
    }
  });

  test('have the nationality of a country', () => {
    const adjectives = new Set(factsOf('demonym').flatMap(({ object, alsoTrue }) => [object, ...alsoTrue]));
    expect(factsOf('nationality').filter(({ object }) => !adjectives.has(object) && object !== 'Scottish')).toEqual([]);
  });
});

describe('languages', () => {
  test('a language spoken by law somewhere is in one group, where the table has it', () => {
    const groups = answersOf('language-group');
    const official = [...new Set(factsOf('language').map(({ object }) => object))];
    expect(official.filter((language) => groups.has(language)).length).toBeGreaterThan(35);
  });
});
