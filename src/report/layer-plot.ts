// How far each edited layer moved, relative to the norm of its weight. Draws; measures nothing.

import { type Drawing, figureOf } from './figure.js';
import { html, type Markup } from './markup.js';
import { significant } from './number-text.js';
import type { LayerNorms } from './report-data.js';
import { round } from './share-axis.js';

export function layerPlot(layers: readonly LayerNorms[]): Markup {
  const told = layers.map((layer) => `${layer.name} ${relative(layer)}`);
  return figureOf({
    title: 'Size of the shift',
    lead: 'Frobenius norm of what was added to each layer, relative to the norm of its weight.',
    description: `Bar chart of the shift\u2019s norm relative to the weight\u2019s: ${told.join('; ')}.`,
    legend: [],
    draw: (width) => draw(layers, width),
    columns: ['Layer', 'Norm of the shift', 'Norm of the weight', 'Ratio'],
    rows: layers.map((layer) => [
      layer.name,
      significant(layer.shiftNorm),
      significant(layer.weightNorm),
      relative(layer),
    ]),
  });
}

const ratio = ({ shiftNorm, weightNorm }: LayerNorms) => shiftNorm / weightNorm;
const relative = (layer: LayerNorms) => `${significant(ratio(layer) * 100)}%`;

const rowHeight = 40;

function draw(layers: readonly LayerNorms[], width: number): Drawing {
  const most = Math.max(...layers.map(ratio));
  const rows = layers.map((layer, at) => {
    const y = at * rowHeight;
    // Nothing was added where every shift is zero: no bar has a length then.
    const length = most === 0 ? 0 : round((ratio(layer) / most) * (width - 84));
    const norms = html`<tspan class="quiet">${significant(layer.shiftNorm)} of ${significant(layer.weightNorm)}</tspan>`;
    return html`<text class="label" x="8" y="${y + 14}">${layer.name} ${norms}</text><rect class="shift" x="8" y="${y + 20}" width="${length}" height="12" rx="2"/><text class="value" x="${length + 14}" y="${y + 30}">${relative(layer)}</text>`;
  });
  return { height: layers.length * rowHeight + 4, content: rows };
}
