// A run as one page of HTML that needs nothing but itself. Data in, text out: knows no file and no command.

import { layerPlot } from './layer-plot.js';
import { type Fragment, html, jsonText, Markup } from './markup.js';
import { count } from './number-text.js';
import { pageDataOf } from './page-data.js';
import { inlineSource, type PageFiles } from './page-files.js';
import { relationPlot } from './relation-plot.js';
import { relationScores } from './relation-scores.js';
import { type ReportData, type Setting, scoresOf } from './report-data.js';
import { scoreBars } from './score-bars.js';
import { scoreHistogram } from './score-histogram.js';
import { summaryCards } from './summary-cards.js';

/** The whole file. Its policy lets a browser load nothing and run nothing but the scripts that are in it. */
export function htmlReport(data: ReportData, files: PageFiles): string {
  const { style, scripts } = files;
  const sources = `default-src 'none'; style-src ${inlineSource(style)}; script-src ${scripts.map(inlineSource).join(' ')}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${sources}; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${data.title}</title>
<style>${verbatim(style, 'style')}</style>
</head>
<body>
<a class="skip" href="#facts">Skip to the facts</a>
${header(data)}
<main>
${section('summary', 'Summary', summaryCards(data))}
${section('figures', 'Figures', html`<div class="figures">${figures(data)}</div>`)}
${section('facts', 'Every fact', factTable(data))}
${section('run', 'The run', run(data))}
${section('reading', 'How to read the scores', glossary())}
</main>
<script type="application/json" id="data">${jsonText(pageDataOf(data))}</script>
${scripts.map((script) => html`<script type="module">${verbatim(script, 'script')}</script>\n`)}</body>
</html>
`;
  return page.text;
}

/** Our own style or script as it is: it may hold anything but its element's end. */
function verbatim(text: string, element: 'style' | 'script'): Markup {
  if (text.toLowerCase().includes(`</${element}`)) throw new Error(`the page's ${element} contains its own end`);
  return new Markup(text);
}

function header({ title, subtitle }: ReportData): Markup {
  return html`<header>
<div><h1>${title}</h1><p>${subtitle}</p></div>
<div class="theme" role="group" aria-label="Colours" hidden>
<button type="button" data-theme="auto" aria-pressed="true">Auto</button><button type="button" data-theme="light" aria-pressed="false">Light</button><button type="button" data-theme="dark" aria-pressed="false">Dark</button>
</div>
</header>`;
}

function section(id: string, title: string, content: Fragment): Markup {
  return html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>
${content}</section>`;
}

function figures(data: ReportData): Markup[] {
  const relations = relationScores(data.facts);
  return [
    scoreBars(scoresOf(data), data.compared),
    // One relation is no comparison, and records need not have any.
    ...(relations.length > 1 ? [relationPlot(relations, data.compared)] : []),
    scoreHistogram(data.facts, data.compared),
    ...(data.layers.length > 0 ? [layerPlot(data.layers)] : []),
  ];
}

/** What the page's script replaces. Without it the numbers above are still there. */
function factTable({ facts }: ReportData): Markup {
  const note = `The table of ${count(facts.length)} facts needs JavaScript; everything else on this page does not. The same rows are in the run\u2019s JSON lines.`;
  return html`<div id="fact-table"><p class="panel note">${note}</p></div>
`;
}

function run({ provenance, options, command }: ReportData): Markup {
  return html`<div class="panel">${settings(provenance)}
<h3 id="again">To run it again</h3>
<div class="command"><pre tabindex="0" role="region" aria-labelledby="again"><code id="command">${command}</code></pre><button type="button" id="copy" hidden>Copy</button></div>
<details><summary>All options</summary>${settings(options)}</details></div>
`;
}

function settings(entries: readonly Setting[]): Markup {
  return html`<dl class="settings">${entries.map(({ name, value }) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const terms: readonly (readonly [string, string])[] = [
  [
    'ES, edit success',
    'Share of the new answer\u2019s tokens that are the model\u2019s most likely ones, given the edited prompt and the answer\u2019s tokens so far.',
  ],
  ['GS, generalisation', 'The same on prompts that say the fact in other words.'],
  ['LS, locality', 'The same on unrelated prompts, against their true answers: what the edit must not harm.'],
  ['Unchanged', 'Share of tokens on unrelated prompts that are predicted as before the edit, right or wrong.'],
  [
    'Exact',
    'Share of facts where the text that the model generates by itself, up to the end of its first sentence, is the wanted answer.',
  ],
  ['Took', 'Every token of the new answer is the most likely one: ES of that fact is 100%.'],
];

function glossary(): Markup {
  return html`<dl class="panel glossary">${terms.map(([term, meaning]) => html`<div><dt>${term}</dt><dd>${meaning}</dd></div>`)}</dl>
`;
}
