// A plot of scores against the number of edits as an SVG file: one panel per score, one line per editor.

export interface CurvePoint {
  readonly editor: string;
  readonly edits: number;
  readonly scores: Readonly<Record<string, number | undefined>>;
}

const panel = { width: 300, height: 220, left: 46, right: 24, top: 34, bottom: 40 };
// Distinguishable without colour vision too (Okabe and Ito), and by their dashes.
const styles = [
  { colour: '#0072b2', dash: '' },
  { colour: '#d55e00', dash: '7 4' },
  { colour: '#009e73', dash: '2 3' },
  { colour: '#cc79a7', dash: '9 3 2 3' },
];

/** @param names the scores to draw, by key, with their titles */
export function scorePlot(points: readonly CurvePoint[], names: Readonly<Record<string, string>>): string {
  const editors = [...new Set(points.map(({ editor }) => editor))];
  const panels = Object.entries(names).map(([key, title], at) => drawPanel(points, editors, key, title, at));
  const width = panel.width * panels.length;
  const height = panel.height + 30;
  const legend = editors.map((editor, at) => legendEntry(editor, at)).join('');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<title>Scores of editors against the number of facts edited at once</title>',
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...panels,
    `<g transform="translate(${panel.left}, ${panel.height + 14})">${legend}</g>`,
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel(
  points: readonly CurvePoint[],
  editors: readonly string[],
  key: string,
  title: string,
  at: number,
): string {
  const counts = [...new Set(points.map(({ edits }) => edits))].sort((a, b) => a - b);
  const [least, most] = [Math.log10(counts[0]!), Math.log10(counts.at(-1)!)];
  const x = (edits: number) =>
    panel.left + ((Math.log10(edits) - least) / (most - least || 1)) * (panel.width - panel.left - panel.right);
  const y = (score: number) => panel.top + (1 - score) * (panel.height - panel.top - panel.bottom);
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (score) =>
      `<line x1="${panel.left}" x2="${panel.width - panel.right}" y1="${y(score)}" y2="${y(score)}" stroke="#ddd"/>` +
      `<text x="${panel.left - 6}" y="${y(score) + 4}" text-anchor="end" fill="#333">${score}</text>`,
  );
  const ticks = counts.map(
    (edits) =>
      `<text x="${x(edits)}" y="${panel.height - panel.bottom + 16}" text-anchor="middle" fill="#333">${edits.toLocaleString('en')}</text>`,
  );
  const lines = editors.map((editor, index) => drawLine(points, editor, key, styles[index % styles.length]!, x, y));
  const label = `<text x="${(panel.left + panel.width - panel.right) / 2}" y="${panel.height - 6}" text-anchor="middle" fill="#333">facts edited at once</text>`;
  const heading = `<text x="${panel.left}" y="20" font-weight="bold" fill="#111">${title}</text>`;
  return `<g transform="translate(${at * panel.width}, 0)">${[heading, ...grid, ...ticks, label, ...lines].join('')}</g>`;
}

function drawLine(
  points: readonly CurvePoint[],
  editor: string,
  key: string,
  { colour, dash }: { readonly colour: string; readonly dash: string },
  x: (edits: number) => number,
  y: (score: number) => number,
): string {
  const own = points
    .filter((point) => point.editor === editor && point.scores[key] !== undefined)
    .toSorted((a, b) => a.edits - b.edits);
  const at = own.map(({ edits, scores }) => [x(edits).toFixed(1), y(scores[key]!).toFixed(1)] as const);
  const dots = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"/>`).join('');
  return `<polyline points="${at.map((point) => point.join()).join(' ')}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/>${dots}`;
}

function legendEntry(editor: string, at: number): string {
  const { colour, dash } = styles[at % styles.length]!;
  const left = at * 210;
  return `<line x1="${left}" x2="${left + 34}" y1="0" y2="0" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"/><text x="${left + 40}" y="4" fill="#111">${editor}</text>`;
}
