// What a model reads and says. Knows no architecture: models declare their kind, data is laid out by it.

/**
 * `decoder`: continues a text, answers at the prompt's own tokens. `encoder-decoder`: reads the prompt on one side, writes the
 * answer on the other. `classifier`: reads a claim and gives a verdict at its first token.
 */
export type ModelKind = 'decoder' | 'encoder-decoder' | 'classifier';
