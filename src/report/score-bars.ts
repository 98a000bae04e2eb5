// The means of a run as bars, before and after. Draws; measures nothing.

import { type Drawing, figureOf } from './figure.js';
import { html, type Markup } from './markup.js';
import { percent, points } from './number-text.js';
import type { Score } from './report-data.js';
import { gridOf, placeOf, type ShareAxis } from './share-axis.js';

const bar = { height: 12, gap: 2, rowGap: 14, labelHeight: 18 };

export function scoreBars(scores: readonly Score[], compared: boolean): Markup {
  const told = scores.map(({ short, before, after }) =>
    before === undefined ? `${short} ${percent(after)}` : `${short} from ${percent(before)} to ${percent(after)}`,
  );
  return figureOf({
    title: compared ? 'Before and after' : 'Scores',
    lead: 'Means over all facts. Longer is better for every bar.',
    description: `Bar chart: ${told.join('; ')}.`,
    legend: compared
      ? [
          { mark: 'before', text: 'before' },
          { mark: 'after', text: 'after' },
        ]
      : [],
    draw: (width) => draw(scores, width),
    columns: compared ? ['Score', 'Before', 'After', 'Change'] : ['Score', 'Value'],
    rows: scores.map((score) => numbers(score, compared)),
  });
}

function numbers({ short, name, before, after }: Score, compared: boolean): string[] {
  const change =
    before === undefined
      ? ['\u2013', percent(after), '\u2013']
      : [percent(before), percent(after), points(before, after)];
  return [`${short}: ${name}`, ...(compared ? change : [percent(after)])];
}

function draw(scores: readonly Score[], width: number): Drawing {
  const rowHeight = (score: Score) =>
    bar.labelHeight + (score.before === undefined ? 0 : bar.height + bar.gap) + bar.height + bar.rowGap;
  const bottom = scores.reduce((sum, score) => sum + rowHeight(score), 0);
  const axis: ShareAxis = { left: 8, right: width - 52, top: 4, bottom };
  let y = 0;
  const rows = scores.map((score) => {
    const row = drawRow(score, axis, y);
    y += rowHeight(score);
    return row;
  });
  return { height: bottom + 22, content: [gridOf(axis), rows] };
}

function drawRow({ short, name, before, after }: Score, axis: ShareAxis, top: number): Markup {
  const first = top + bar.labelHeight;
  const second = before === undefined ? first : first + bar.height + bar.gap;
  const label = html`<text class="label" x="${axis.left}" y="${top + 13}"><tspan class="strong">${short}</tspan> ${name}</text>`;
  return html`${label}${before === undefined ? undefined : drawBar('before', before, axis, first)}${drawBar('after', after, axis, second)}`;
}

function drawBar(when: 'before' | 'after', share: number, axis: ShareAxis, y: number): Markup {
  const end = placeOf(axis, share);
  return html`<rect class="${when}" x="${axis.left}" y="${y}" width="${end - axis.left}" height="${bar.height}" rx="2"/><text class="value" x="${end + 5}" y="${y + 10}">${percent(share)}</text>`;
}
