// The table of every fact: search, filters, order, pages. However many facts there are, only one page of them is in the document.
// Builds elements and sets their text; no text of a record ever becomes markup.

import type { FactLine, PageData, Pair } from './fact-line.js';

const pageSize = 50;
/** On paper: what a reader may want to leaf through; the rest is in the file. */
const printedRows = 200;

const { facts, compared } = JSON.parse(document.querySelector('#data')!.textContent!) as PageData;

type Value = string | number;

interface Column {
  readonly title: string;
  /** What the rows are ordered by; null comes last in either direction. */
  readonly key: (fact: FactLine) => Value | null;
  readonly cell: (fact: FactLine) => (Node | string)[];
  readonly kind: 'text' | 'score';
}

type Attributes = Readonly<Record<string, string>>;

function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  children: readonly (Node | string)[] = [],
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** As in the rest of the report: only a whole is 100%. */
function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100}%`;
  return `${Math.min(99.9, Math.max(0.1, Math.round(share * 1000) / 10)).toFixed(1)}%`;
}

function score(title: string, pick: (fact: FactLine) => Pair<number> | null): Column[] {
  if (facts.every((fact) => pick(fact) === null)) return [];
  const cell = (fact: FactLine) => {
    const pair = pick(fact);
    if (pair === null) return ['\u2013'];
    const [before, after] = pair.map(percent) as [string, string];
    return compared ? [element('span', { class: 'old' }, [`${before} \u2192 `]), after] : [after];
  };
  return [{ title, key: (fact) => pick(fact)?.[1] ?? null, cell, kind: 'score' }];
}

/** Failures first; among them, and among the others, the lowest scores. */
function rank({ took, es, gs, unchanged }: FactLine): number {
  return (took ? 1000 : 0) + es[1] * 100 + (gs?.[1] ?? 1) * 10 + (unchanged ?? 1);
}

const columns: readonly Column[] = [
  { title: 'Result', key: rank, cell: ({ took }) => [resultMark(took)], kind: 'text' },
  { title: 'Fact', key: ({ prompt }) => prompt, cell: sentences, kind: 'text' },
  { title: 'Wanted', key: ({ wanted }) => wanted, cell: ({ wanted }) => [said(wanted)], kind: 'text' },
  ...score('ES', ({ es }) => es),
  ...score('GS', ({ gs }) => gs),
  ...score('LS', ({ ls }) => ls),
  ...unchangedColumn(),
];

function unchangedColumn(): Column[] {
  if (!compared || facts.every(({ unchanged }) => unchanged === null)) return [];
  const cell = ({ unchanged }: FactLine) => [unchanged === null ? '\u2013' : percent(unchanged)];
  return [{ title: 'Unchanged', key: ({ unchanged }) => unchanged, cell, kind: 'score' }];
}

function resultMark(took: boolean): HTMLElement {
  const text = took ? (compared ? '\u2713 took' : '\u2713 known') : '\u2717 failed';
  return element('span', { class: took ? 'took' : 'failed' }, [text]);
}

const said = (text: string) => element('b', { dir: 'auto' }, [text]);

/** What a reader would see: the prompt and what the model goes on with, before and after. */
function sentences(fact: FactLine): Node[] {
  const sentence = (when: 0 | 1, name: string) => {
    const exact = fact.exact?.[when] === true;
    const words =
      fact.said === null
        ? []
        : [' ', element('b', { class: exact ? 'right' : 'other' }, [fact.said[when] || '\u2026'])];
    const label = name === '' ? [] : [element('span', { class: 'when' }, [name]), ' '];
    return element('p', { dir: 'auto' }, [...label, fact.prompt, ...words]);
  };
  const lines = compared && fact.said !== null ? [sentence(0, 'before'), sentence(1, 'after')] : [sentence(1, '')];
  const { id, relation: kind, was } = fact;
  const named = kind === null || id.includes(kind) ? [] : [kind];
  const origin = [id, ...named, ...(was === null ? [] : [`was ${was}`])];
  return [...lines, element('p', { class: 'origin', dir: 'auto' }, [origin.join(' \u00b7 ')])];
}

const filters: Readonly<Record<string, (fact: FactLine) => boolean>> = {
  'all facts': () => true,
  failed: ({ took }) => !took,
  took: ({ took }) => took,
  ...(facts.some(({ exact }) => exact !== null)
    ? {
        'generated right': ({ exact }: FactLine) => exact?.[1] === true,
        'generated wrong': ({ exact }: FactLine) => exact?.[1] === false,
      }
    : {}),
  ...(facts.some(({ gs }) => gs !== null)
    ? { 'a rephrasing failed': ({ gs }: FactLine) => gs !== null && gs[1] < 1 }
    : {}),
  ...(compared && facts.some(({ unchanged }) => unchanged !== null)
    ? { 'a neighbour moved': ({ unchanged }: FactLine) => unchanged !== null && unchanged < 1 }
    : {}),
};

const relations = [...new Set(facts.map(({ relation }) => relation))].filter((name) => name !== null).sort();
const anyRelation = 'every relation';

const texts = new Map<FactLine, string>();

/** Everything of a fact that a search looks at, made when it is first needed. */
function textOf(fact: FactLine): string {
  const known = texts.get(fact);
  if (known !== undefined) return known;
  const { id, relation, prompt, wanted, was, said: spoken } = fact;
  const text = [id, relation ?? '', prompt, wanted, was ?? '', ...(spoken ?? [])].join('\n').toLowerCase();
  texts.set(fact, text);
  return text;
}

const collator = new Intl.Collator(undefined, { numeric: true });

function compare(a: Value | null, b: Value | null, direction: 1 | -1): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return direction * (typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b)));
}

const state = { column: columns[0]!, direction: 1 as 1 | -1, page: 0 };
let matching: readonly FactLine[] = [];

/** A control under its name. */
function field(name: string, id: string, control: HTMLElement, kind = ''): HTMLElement {
  control.id = id;
  return element('div', { class: `field ${kind}` }, [element('label', { for: id }, [name]), control]);
}

function select(options: readonly string[]): HTMLSelectElement {
  const names = options.map((name) => element('option', { value: name }, [name]));
  const made = element('select', {}, names);
  made.addEventListener('change', update);
  return made;
}

const search = element('input', {
  type: 'search',
  placeholder: 'prompt, answer, id',
  autocomplete: 'off',
  spellcheck: 'false',
});
const show = select(Object.keys(filters));
const relation = select([anyRelation, ...relations]);
search.addEventListener('input', update);
const status = element('p', { role: 'status' });
const head = element('tr', { role: 'row' });
const body = element('tbody', { role: 'rowgroup' });
const printNote = element('p', { class: 'print-only' });

for (const column of columns) {
  const button = element('button', { type: 'button' }, [column.title]);
  button.addEventListener('click', () => {
    state.direction = state.column === column && state.direction === 1 ? -1 : 1;
    state.column = column;
    update();
  });
  head.append(element('th', { role: 'columnheader', scope: 'col', class: column.kind }, [button]));
}

const steps = {
  First: () => 0,
  Previous: () => state.page - 1,
  Next: () => state.page + 1,
  Last: () => lastPage(),
};
const stepButtons = Object.entries(steps).map(([name, target]) => {
  const button = element('button', { type: 'button' }, [name]);
  button.addEventListener('click', () => turnTo(target()));
  return button;
});

const lastPage = () => Math.max(0, Math.ceil(matching.length / pageSize) - 1);

/** A step beyond an end does nothing; its button stays in the tab order, so that the focus is not lost on the last page. */
function turnTo(page: number): void {
  if (page < 0 || page > lastPage() || page === state.page) return;
  state.page = page;
  drawPage();
  table.scrollIntoView({ block: 'start' });
}

/** Finds and orders the facts anew, and goes to the first page. */
function update(): void {
  const words = search.value
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const passes = filters[show.value]!;
  const wanted = relation.value;
  const { key } = state.column;
  matching = facts
    .filter((fact) => passes(fact) && (wanted === anyRelation || fact.relation === wanted))
    .filter((fact) => words.every((word) => textOf(fact).includes(word)))
    .sort((a, b) => compare(key(a), key(b), state.direction));
  state.page = 0;
  drawOrder();
  drawPage();
}

function drawOrder(): void {
  for (const [at, cell] of [...head.children].entries()) {
    const sorted = columns[at] === state.column;
    cell.setAttribute('aria-sort', sorted ? (state.direction === 1 ? 'ascending' : 'descending') : 'none');
  }
}

function drawPage(): void {
  const start = state.page * pageSize;
  const rows = matching.slice(start, start + pageSize);
  body.replaceChildren(...rows.map(rowOf));
  const number = (value: number) => value.toLocaleString('en-US');
  const found = matching.length === facts.length ? 'facts' : `matching facts, ${number(facts.length)} in all`;
  status.textContent =
    rows.length === 0
      ? `No fact matches, ${number(facts.length)} in all`
      : `${number(start + 1)}\u2013${number(start + rows.length)} of ${number(matching.length)} ${found}`;
  for (const [at, target] of Object.values(steps).entries()) {
    const page = target();
    const dead = page < 0 || page > lastPage() || page === state.page;
    stepButtons[at]!.setAttribute('aria-disabled', String(dead));
  }
}

function rowOf(fact: FactLine): HTMLElement {
  const cells = columns.map(({ title, kind, cell }) =>
    element('td', { role: 'cell', class: kind, 'data-title': title }, cell(fact)),
  );
  return element('tr', { role: 'row' }, cells);
}

const table = element('table', { role: 'table', 'aria-label': 'Facts' }, [
  element('thead', { role: 'rowgroup' }, [head]),
  body,
]);

addEventListener('beforeprint', () => {
  body.replaceChildren(...matching.slice(0, printedRows).map(rowOf));
  const left = matching.length - printedRows;
  printNote.textContent = left > 0 ? `${left.toLocaleString('en-US')} more facts are in the file.` : '';
});
addEventListener('afterprint', drawPage);

document
  .querySelector('#fact-table')!
  .replaceChildren(
    element('form', { class: 'controls', role: 'search', 'aria-label': 'Facts' }, [
      field('Search', 'search', search, 'grow'),
      field('Show', 'show', show),
      ...(relations.length > 1 ? [field('Relation', 'relation', relation)] : []),
    ]),
    element('div', { class: 'table panel' }, [table]),
    printNote,
    element('nav', { class: 'pages', 'aria-label': 'Pages of facts' }, [status, ...stepButtons]),
  );
document.querySelector('.controls')!.addEventListener('submit', (event) => event.preventDefault());
update();
