// What is said of a shift: that it cannot have left the rest of the model alone, and how much of it was needed.

import { expect, test } from 'vitest';
import { type EditResult, tellEdit } from '../../src/commands/edit-result.js';
import type { FactReport } from '../../src/eval/fact-report.js';
import { collecting } from './tiny-world.js';

const scores = { facts: 1, es: 1, gs: 1, ls: 1, unchanged: 1, before: { es: 0, gs: 0, ls: 1 } };

const edited = (more: Partial<EditResult>): EditResult => ({
  ...{ out: 'edited', editor: 'malmen', facts: 1, took: 1, failedIds: [], scores, layers: [], leftOut: [] },
  ...{ editSeconds: 1, secondsPerFact: 1, verified: 'the saved checkpoint, opened again from disk' },
  ...more,
});

function told(kind: 'warning' | 'note', result: EditResult, reports: readonly FactReport[] = []): string[] {
  const context = collecting();
  tellEdit(result, reports, context);
  return context.events.flatMap((event) => (event.kind === kind ? [event.text] : []));
}

function warnings(...shiftNorms: readonly number[]): string[] {
  const layers = shiftNorms.map((shiftNorm, at) => ({ name: `layer.${at}`, shiftNorm, weightNorm: 2 }));
  return told('warning', edited({ layers }));
}

test('a shift of at most a hundred times its weight passes', () => {
  expect(warnings(1, 200)).toEqual([]);
});

test('a larger one is named, with how large it is', () => {
  const [warning, ...others] = warnings(1, 202, 900);
  expect(warning).toContain('(layer.1 101, layer.2 450 times)');
  expect(others).toEqual([]);
});

test('what was scaled down is said with what it cost, and where nothing could be', () => {
  const took = { whole: 985, eased: 978 };
  expect(told('note', edited({ eased: { factor: 0.97, took } }))).toContainEqual(
    expect.stringMatching(/0\.97: 978 .* 985 /),
  );
  expect(told('note', edited({ eased: { factor: 1, took } }))).toContainEqual(
    expect.stringMatching(/could not .* 985 /),
  );
  expect(told('note', edited({})).join()).not.toContain('scaled');
});

/** A fact that was Paris and is to be Rome, by what the model wrote freely before and after. */
function said(before: string, after: string, more: Partial<FactReport> = {}): FactReport {
  const { es, gs, ls } = scores;
  const asked = { id: 'a', prompt: 'The capital is', answer: 'Rome', was: 'Paris', took: true };
  const found = { before: { es: 0, gs, ls }, after: { es, gs, ls } };
  return {
    ...asked,
    ...found,
    generated: { before, after },
    exact: { before: false, after: after === 'Rome' },
    ...more,
  };
}

test('that most facts are said with more words behind them is a warning, where the model used to stop', () => {
  const on = said('Paris', 'Rome of the sea');
  expect(told('warning', edited({}), [on, on, said('Paris', 'Rome')])).toEqual([
    expect.stringMatching(/^2 of 3 facts .* --ends /),
  ]);
});

test('it is none where half of them stop, the model never did, or what is said is not the new answer', () => {
  const { was, ...unknown } = said('Paris', 'Rome of the sea');
  const others = [
    [said('Paris', 'Rome of the sea'), said('Paris', 'Rome')],
    [said('Paris is large', 'Rome of the sea')],
    [said('Paris', 'Bern')],
    [said('Paris', 'Rome of the sea', { took: false })],
    [unknown],
  ];
  for (const reports of others) expect(told('warning', edited({}), reports)).toEqual([]);
});
