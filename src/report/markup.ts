// HTML and SVG as values: a template tag that escapes everything put into it, unless it is markup already. Knows no page.

/** Text that is markup. Only {@link html} makes it out of values, so a string can never become one unescaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Fragment = Markup | string | number | undefined | readonly Fragment[];

/** @example html`<p>${'a < b'}</p>`.text // '<p>a &lt; b</p>' */
export function html(strings: TemplateStringsArray, ...values: readonly Fragment[]): Markup {
  return new Markup(
    strings.reduce((text, string, at) => text + string + (at < values.length ? show(values[at]) : ''), ''),
  );
}

function show(value: Fragment): string {
  if (value === undefined) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escapeText(String(value));
  return value.map(show).join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for attribute values in either kind of quotes. */
function escapeText(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!);
}

/** A value as JSON inside a `script` element: no `<` is left that could end the element or begin a comment. */
export function jsonText(value: unknown): Markup {
  return new Markup(JSON.stringify(value).replaceAll('<', '\\u003c'));
}
