// The page as text, without a browser: what is escaped, what is counted, what is drawn from which numbers.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FactReport } from '../../src/eval/fact-report.js';
import { htmlReport } from '../../src/report/html-report.js';
import { html, jsonText } from '../../src/report/markup.js';
import { percent, points } from '../../src/report/number-text.js';
import { readPageFiles } from '../../src/report/page-files.js';
import { relationScores } from '../../src/report/relation-scores.js';
import { scoresOf } from '../../src/report/report-data.js';
import { binOf } from '../../src/report/score-histogram.js';
import { exampleFact, exampleFacts, exampleReport, hostile } from './example-report.js';

const files = await readPageFiles();

/** What a reader sees without scripts. */
const shown = (page: string) => page.slice(page.indexOf('<body>'), page.indexOf('<script'));

describe('text in markup', () => {
  test('is escaped wherever it stands', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", 'a', '/') }), (text) => {
        const { text: made } = html`<p title="${text}">${[text]}</p>`;
        const inside = made.slice('<p title="'.length, -'</p>'.length);
        expect(inside.replace('">', '')).not.toMatch(/[<>"']/);
        const unescaped = inside
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&quot;', '"')
          .replaceAll('&#39;', "'")
          .replaceAll('&amp;', '&');
        expect(unescaped).toBe(`${text}">${text}`);
      }),
    );
  });

  test('as JSON has nothing that could end its element, and reads back the same', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { text: made } = jsonText([text, hostile]);
        expect(made).not.toContain('<');
        expect(JSON.parse(made)).toEqual([text, hostile]);
      }),
    );
  });

  test('of a record never becomes markup', () => {
    const facts = [
      { ...exampleFact(1), id: hostile, prompt: hostile, answer: hostile, relation: hostile },
      exampleFact(2),
    ];
    const page = htmlReport(exampleReport(facts, { title: hostile, command: hostile }), files);
    expect(page).not.toContain('<img');
    expect(page.match(/<script/g)).toHaveLength(files.scripts.length + 1);
    expect(page.match(/<\/script/g)).toHaveLength(files.scripts.length + 1);
  });
});

describe('numbers', () => {
  test('only a whole is 100%, only nothing is 0%', () => {
    expect([0, 1, 0.5, 0.99999, 0.00001, 2 / 3].map(percent)).toEqual([
      '0%',
      '100%',
      '50.0%',
      '99.9%',
      '0.1%',
      '66.7%',
    ]);
    expect([points(0.1, 0.95), points(0.9, 0.85), points(0.5, 0.5), points(0.5, 0.50001)]).toEqual([
      '+85.0 points',
      '\u22125.0 points',
      'no change',
      '+<0.1 points',
    ]);
  });

  test('every share has its bin, a whole one its own', () => {
    expect([0, 0.05, 0.1, 0.999, 1].map(binOf)).toEqual([0, 0, 1, 9, 10]);
  });

  test('a page without rephrasings, unrelated prompts or generation leaves those scores out', () => {
    const bare: FactReport = {
      id: '1',
      prompt: 'A is',
      answer: 'b',
      took: true,
      before: { es: 0 },
      after: { es: 1 },
    };
    expect(scoresOf(exampleReport([bare])).map(({ short }) => short)).toEqual(['ES']);
    expect(shown(htmlReport(exampleReport([bare], { layers: [] }), files))).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('relations', () => {
  test('hold the means of their facts, the least successful first', () => {
    const facts = exampleFacts(200);
    const relations = relationScores(facts);
    expect(relations).toHaveLength(4);
    for (const { relation, facts: size, took, after, before } of relations) {
      const own = facts.filter((fact) => fact.relation === relation);
      expect([size, took]).toEqual([own.length, own.filter((fact) => fact.took).length]);
      expect(after.es).toBeCloseTo(own.reduce((sum, fact) => sum + fact.after.es, 0) / own.length, 12);
      expect(before.gs).toBeCloseTo(0.2, 12);
    }
    expect(relations.map(({ after }) => after.es)).toEqual(
      relations.map(({ after }) => after.es).sort((a, b) => a - b),
    );
  });

  test('are not plotted where there is one or none', () => {
    const one = exampleFacts(8).map((fact) => ({ ...fact, relation: 'capital' }));
    const none = one.map(({ relation: _, ...fact }) => fact);
    for (const facts of [one, none]) {
      expect(htmlReport(exampleReport(facts), files)).not.toContain('Success by relation');
    }
    expect(htmlReport(exampleReport(exampleFacts(8)), files)).toContain('Success by relation');
  });
});

test('a shift of nothing is drawn without a length', () => {
  const layers = [{ name: 'h.0', shiftNorm: 0, weightNorm: 2 }];
  expect(shown(htmlReport(exampleReport(exampleFacts(3), { layers }), files))).not.toMatch(/NaN|Infinity/);
});

test('no address in the page leads to the network', () => {
  const page = htmlReport(exampleReport(exampleFacts(20)), files);
  expect(page).not.toMatch(/(?:src|href)="(?!#)/);
  expect(page).not.toMatch(/https?:|@import|url\(/);
});
