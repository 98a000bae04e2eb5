// A figure of the report: caption, a drawing for wide screens and one for narrow ones, and the same numbers as a table.
// Knows no particular chart.

import { type Fragment, html, type Markup } from './markup.js';

/** Units of a drawing are pixels; text in it is never scaled to the point where it cannot be read. */
export const widths = { wide: 560, narrow: 328 } as const;

export interface Drawing {
  readonly height: number;
  readonly content: Fragment;
}

export interface Figure {
  readonly title: string;
  /** What is to be seen, in a sentence. */
  readonly lead: string;
  /** For those who cannot see the drawing: what it says. */
  readonly description: string;
  readonly legend: readonly LegendEntry[];
  readonly draw: (width: number) => Drawing;
  readonly columns: readonly string[];
  /** The first cell of a row is its heading. */
  readonly rows: readonly (readonly string[])[];
}

export interface LegendEntry {
  /** Class of the mark, as in the drawing. */
  readonly mark: 'before' | 'after' | 'ring' | 'dot' | 'gs';
  readonly text: string;
}

export function figureOf(figure: Figure): Markup {
  return html`<figure class="panel">
<figcaption><h3>${figure.title}</h3><p class="lead">${figure.lead}</p></figcaption>
${legendOf(figure.legend)}
${svgOf(figure, 'wide')}
${svgOf(figure, 'narrow')}
<details><summary>The numbers as a table</summary>${numbersOf(figure)}</details>
</figure>
`;
}

function svgOf({ description, draw }: Figure, size: keyof typeof widths): Markup {
  const width = widths[size];
  const { height, content } = draw(width);
  return html`<svg class="${size}" role="img" aria-label="${description}" viewBox="0 0 ${width} ${height}">${content}</svg>`;
}

function legendOf(entries: readonly LegendEntry[]): Markup {
  const items = entries.map(({ mark, text }) => html`<li><span class="key ${mark}"></span>${text}</li>`);
  return items.length === 0 ? html`` : html`<ul class="legend">${items}</ul>`;
}

function numbersOf({ title, columns, rows }: Figure): Markup {
  const head = columns.map((name) => html`<th scope="col">${name}</th>`);
  const body = rows.map(
    ([first, ...cells]) => html`<tr><th scope="row">${first}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${title}: numbers"><table class="numbers"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}
