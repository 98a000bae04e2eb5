// How the scores of single facts are distributed, before and after: what a mean hides. Draws; measures nothing but counts.

import type { FactReport } from '../eval/fact-report.js';
import { type Drawing, figureOf } from './figure.js';
import { html, type Markup } from './markup.js';
import { count, percent } from './number-text.js';
import { round } from './share-axis.js';

/** Ten tenths, and a bin of its own for facts that are wholly right. */
const bins = 11;

const metrics = [
  { key: 'es', name: 'ES: edited prompt' },
  { key: 'gs', name: 'GS: rephrased prompts' },
  { key: 'ls', name: 'LS: unrelated prompts' },
] as const;

interface Distribution {
  readonly name: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export function scoreHistogram(facts: readonly FactReport[], compared: boolean): Markup {
  const distributions = distributionsOf(facts);
  const wholly = distributions.map(
    ({ name, after }) => `${name}: ${count(after[bins - 1]!)} wholly right, ${count(after[0]!)} below 10%`,
  );
  return figureOf({
    title: 'Scores of single facts',
    lead: 'Number of facts by score. The last column holds those that are wholly right.',
    description: `Histograms. ${wholly.join('; ')}, of ${count(facts.length)} facts.`,
    legend: compared
      ? [
          { mark: 'before', text: 'before' },
          { mark: 'after', text: 'after' },
        ]
      : [],
    draw: (width) => draw(distributions, compared, width),
    columns: ['Score', ...distributions.flatMap(({ name }) => columnsOf(name.slice(0, 2), compared))],
    rows: Array.from({ length: bins }, (_, bin) => [
      binName(bin),
      ...distributions.flatMap(({ before, after }) => [...(compared ? [count(before[bin]!)] : []), count(after[bin]!)]),
    ]),
  });
}

const columnsOf = (short: string, compared: boolean) => (compared ? [`${short} before`, `${short} after`] : [short]);

export function binOf(share: number): number {
  return share === 1 ? bins - 1 : Math.min(bins - 2, Math.floor(share * (bins - 1)));
}

function binName(bin: number): string {
  return bin === bins - 1 ? percent(1) : `${bin * 10} to <${bin * 10 + 10}%`;
}

function distributionsOf(facts: readonly FactReport[]): Distribution[] {
  return metrics.flatMap(({ key, name }) => {
    const counts = (when: 'before' | 'after') => {
      const found = new Array<number>(bins).fill(0);
      for (const fact of facts) {
        const share = fact[when][key];
        if (share !== undefined) found[binOf(share)]!++;
      }
      return found;
    };
    const after = counts('after');
    return after.every((size) => size === 0) ? [] : [{ name, before: counts('before'), after }];
  });
}

const panel = { height: 140, title: 14, top: 36, base: 116 };

function draw(distributions: readonly Distribution[], compared: boolean, width: number): Drawing {
  const panels = distributions.map((distribution, at) => drawPanel(distribution, compared, width, at * panel.height));
  return { height: distributions.length * panel.height + 4, content: panels };
}

function drawPanel({ name, before, after }: Distribution, compared: boolean, width: number, y: number): Markup {
  const most = Math.max(...after, ...(compared ? before : []));
  const step = (width - 16) / bins;
  const base = y + panel.base;
  const columns = after.map((size, bin) => {
    const left = 8 + bin * step;
    const sizes = compared ? [before[bin]!, size] : [size];
    const bars = sizes.map((each) => ({ size: each, height: heightOf(each, most) }));
    const tick = html`<text class="tick" x="${round(left + step / 2)}" y="${base + 14}" text-anchor="middle">${tickOf(bin, width)}</text>`;
    return html`${drawBin(bars, { left: left + step * 0.1, width: step * 0.8, base })}${tick}`;
  });
  const axis = html`<line class="axis" x1="8" y1="${base}" x2="${width - 8}" y2="${base}"/>`;
  return html`<text class="label strong" x="8" y="${y + panel.title}">${name}</text>${columns}${axis}`;
}

const tickOf = (bin: number, width: number) =>
  bin === bins - 1 ? '100%' : width > 400 ? `${bin * 10}\u2013${bin * 10 + 10}` : `${bin * 10}`;

/** A count that is not nothing is always seen. */
const leastHeight = 2;

const heightOf = (size: number, most: number) =>
  size === 0 ? 0 : round(Math.max(leastHeight, (size / most) * (panel.base - panel.top)));

interface Bar {
  readonly size: number;
  readonly height: number;
}

/** Pixels that a letter of a count takes. */
const letter = 6;

/** The bars of one bin side by side: the last is the one after; the one before is labelled where there is room for both. */
function drawBin(
  bars: readonly Bar[],
  { left, width, base }: { readonly left: number; readonly width: number; readonly base: number },
): Markup[] {
  const each = width / bars.length;
  const fits = bars.every(({ size }) => count(size).length * letter <= each);
  const alone = bars.filter(({ size }) => size > 0).length < 2;
  return bars.map(({ size, height }, at) => {
    if (size === 0) return html``;
    const isAfter = at === bars.length - 1;
    const [x, top] = [left + at * each, round(base - height)];
    const label = html`<text class="tick" x="${round(x + each / 2)}" y="${top - 3}" text-anchor="middle">${count(size)}</text>`;
    const bar = html`<rect class="${isAfter ? 'after' : 'before'}" x="${round(x)}" y="${top}" width="${round(each - 1)}" height="${height}"/>`;
    return html`${bar}${isAfter || fits || alone ? label : undefined}`;
  });
}
