// The part of a `tokenizer.json` that puts special tokens around a whole input.

/** Around one text: `before`, the text, `after`. Null where there is nothing to put. */
export function inputTemplate(
  before: readonly string[],
  after: readonly string[],
  idOf: (token: string) => number | undefined,
): unknown {
  const around = [...before, ...after];
  if (around.length === 0) return null;
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const text = (id: 'A' | 'B') => ({ Sequence: { id, type_id: id === 'A' ? 0 : 1 } });
  const entries = [...new Set(around)].map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }]);
  const single = [...before.map(special), text('A'), ...after.map(special)];
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, text('B'), ...after.map(special)],
    special_tokens: Object.fromEntries(entries),
  };
}
