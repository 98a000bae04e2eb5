// How many rows are gathered before their products are summed.

/**
 * Rows that are summed at once, while an LM batch may bring a hundred: every sum reads and writes the whole Gram matrix,
 * which takes as long as the product itself at about a hundred rows.
 */
export const rowsAtOnce = 1024;
