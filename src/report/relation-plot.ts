// Success over relations as dots on lines, the least successful relation on top. Draws; measures nothing.

import { type Drawing, figureOf, type LegendEntry, widths } from './figure.js';
import { html, type Markup } from './markup.js';
import { count, percent } from './number-text.js';
import type { RelationScores } from './relation-scores.js';
import { gridOf, placeOf, round, type ShareAxis } from './share-axis.js';

/** More lines than this are no picture any more; the table beside it has all of them. */
const mostRelations = 40;

export function relationPlot(relations: readonly RelationScores[], compared: boolean): Markup {
  const shown = relations.slice(0, mostRelations);
  const left = relations.length - shown.length;
  const hasRephrasings = relations.some(({ after }) => after.gs !== undefined);
  const rest = left > 0 ? ` The ${count(shown.length)} least successful of ${count(relations.length)} are drawn.` : '';
  return figureOf({
    title: 'Success by relation',
    lead: `Each line is a kind of fact, the least successful on top.${rest}`,
    description: describe(relations),
    legend: legendOf(compared, hasRephrasings),
    draw: (width) => draw(shown, compared, width),
    columns: ['Relation', 'Facts', 'Took', ...(compared ? ['ES before'] : []), 'ES', ...(hasRephrasings ? ['GS'] : [])],
    rows: relations.map(({ relation, facts, took, before, after }) => [
      relation,
      count(facts),
      count(took),
      ...(compared ? [percent(before.es)] : []),
      percent(after.es),
      ...(hasRephrasings ? [after.gs === undefined ? '\u2013' : percent(after.gs)] : []),
    ]),
  });
}

function describe(relations: readonly RelationScores[]): string {
  const [worst, best] = [relations[0]!, relations.at(-1)!];
  const span = `ES from ${percent(worst.after.es)} (${worst.relation}) to ${percent(best.after.es)} (${best.relation})`;
  return `Dot plot of ${relations.length} relations: ${span}.`;
}

function legendOf(compared: boolean, hasRephrasings: boolean): LegendEntry[] {
  return [
    ...(compared ? [{ mark: 'ring', text: 'ES before' } as const] : []),
    { mark: 'dot', text: compared ? 'ES after' : 'ES' },
    ...(hasRephrasings ? [{ mark: 'gs', text: compared ? 'GS after' : 'GS' } as const] : []),
  ];
}

/** Beside the line where there is room, above it where there is none. */
function draw(relations: readonly RelationScores[], compared: boolean, width: number): Drawing {
  const above = width < widths.wide;
  const rowHeight = above ? 34 : 24;
  const bottom = relations.length * rowHeight + 4;
  const axis: ShareAxis = { left: above ? 8 : 170, right: width - 52, top: 4, bottom };
  const rows = relations.map((relation, at) => {
    const y = (at + 1) * rowHeight - (above ? 8 : 10);
    return drawRow(relation, { axis, y, above, compared });
  });
  return { height: bottom + 22, content: [gridOf(axis), rows] };
}

interface Place {
  readonly axis: ShareAxis;
  readonly y: number;
  readonly above: boolean;
  readonly compared: boolean;
}

function drawRow({ relation, facts, before, after }: RelationScores, { axis, y, above, compared }: Place): Markup {
  const label = above
    ? html`<text class="label" x="${axis.left}" y="${y - 10}">${shorten(relation, 38)} <tspan class="quiet">${count(facts)}</tspan></text>`
    : html`<text class="label" x="${axis.left - 12}" y="${y + 4}" text-anchor="end">${shorten(relation, 20)} <tspan class="quiet">${count(facts)}</tspan></text>`;
  const [from, to] = [placeOf(axis, before.es), placeOf(axis, after.es)];
  const track = html`<line class="track" x1="${axis.left}" y1="${y}" x2="${axis.right}" y2="${y}"/>`;
  const way = compared
    ? html`<line class="way" x1="${from}" y1="${y}" x2="${to}" y2="${y}"/><circle class="before" cx="${from}" cy="${y}" r="4.5"/>`
    : undefined;
  const gs = after.gs === undefined ? undefined : diamond(placeOf(axis, after.gs), y);
  const value = html`<text class="value" x="${axis.right + 10}" y="${y + 4}">${percent(after.es)}</text>`;
  return html`${label}${track}${way}<circle class="after" cx="${to}" cy="${y}" r="5.5"/>${gs}${value}`;
}

function diamond(x: number, y: number): Markup {
  const r = 5;
  return html`<path class="gs" d="M${round(x - r)} ${y}L${x} ${y - r}L${round(x + r)} ${y}L${x} ${y + r}Z"/>`;
}

function shorten(text: string, most: number): string {
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join('')}\u2026`;
}
