// The run in a row of cards: how many facts took, and each mean before and after. Draws; measures nothing.

import { html, type Markup } from './markup.js';
import { count, percent, points } from './number-text.js';
import { type ReportData, type Score, scoresOf } from './report-data.js';

export function summaryCards(data: ReportData): Markup {
  return html`<ul class="cards">${tookCard(data)}${scoresOf(data).map(scoreCard)}</ul>`;
}

function tookCard({ facts, compared }: ReportData): Markup {
  const took = facts.filter((fact) => fact.took).length;
  const failed = facts.length - took;
  const words = compared ? 'facts took' : 'facts are known';
  const rest = failed === 0 ? 'none failed' : html`<a href="#facts">${count(failed)} failed</a>`;
  return card(words, html`${count(took)}<small> of ${count(facts.length)}</small>`, rest);
}

function scoreCard({ short, name, before, after }: Score): Markup {
  const change =
    before === undefined ? undefined : html`<span>before ${percent(before)}</span><b>${points(before, after)}</b>`;
  return card(html`<b>${short}</b> ${name}`, percent(after), change);
}

function card(name: Markup | string, value: Markup | string, note: Markup | string | undefined): Markup {
  return html`<li class="panel"><p class="name">${name}</p><p class="big">${value}</p><p class="note">${note}</p></li>
`;
}
