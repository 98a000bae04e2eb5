// Which of the values that cross from the frozen part to the live one can be kept by prompt: rows of tokens that cost matrix
// products. The others (masks, rotary angles, position biases) are computed again. Knows no model and no disk.

import { createHash } from 'node:crypto';
import { multiplyDims, type Shape } from '../graph/dim.js';
import type { Value } from '../graph/ops.js';
import { printProgram } from '../graph/print.js';
import { makeProgram, type Program, topologicalOrder } from '../graph/program.js';
import { type BatchPrompt, type TokenSide, tokenSides } from './batch-prompts.js';

/** A value [batch, outer, side, inner] or, with an `outer` of 1, [batch*side, inner]; both may be products of several axes. */
export interface RowValue {
  readonly name: string;
  readonly shape: Shape;
  readonly side: TokenSide;
  readonly outer: number;
  readonly inner: number;
}

export interface CrossingRows {
  /** Equal for computations that keep the same values. */
  readonly id: string;
  /** In the order in which a prompt's record holds them; none where nothing is worth keeping. */
  readonly kept: readonly RowValue[];
  /** Computes the others, with no matrix product. */
  readonly others: Program;
}

/** Nothing is kept where what is not rows of one prompt would need the products all the same. */
export function crossingRows(outputs: ReadonlyMap<string, Value>): CrossingRows {
  const kept: (RowValue & { readonly text: string })[] = [];
  const others = new Map<string, Value>();
  for (const [name, value] of outputs) {
    const layout = needsProduct(value) ? rowLayout(value) : undefined;
    if (layout) kept.push({ name, ...layout, text: printProgram(makeProgram({ value })) });
    else others.set(name, value);
  }
  kept.sort((a, b) => (a.text < b.text ? -1 : 1));
  const isUseful = ![...others.values()].some(needsProduct);
  const id = createHash('sha256').update(kept.map(({ text }) => text).join('\n\n'));
  return { id: id.digest('hex').slice(0, 16), kept: isUseful ? kept : [], others: makeProgram(others) };
}

function needsProduct(value: Value): boolean {
  return topologicalOrder([value]).some(({ op }) => op === 'gemm' || op === 'matMul');
}

function rowLayout({ shape, dtype }: Value): Omit<RowValue, 'name'> | undefined {
  if (dtype !== 'f32') return undefined;
  for (const side of tokenSides) {
    const [axis, others] =
      shape[0] === multiplyDims('batch', side)
        ? [0, shape.slice(1)]
        : [shape.indexOf(side), shape.filter((dim, at) => at > 0 && dim !== side)];
    const isRows = axis === 0 || (shape[0] === 'batch' && axis > 0 && others.length === shape.length - 2);
    if (!isRows || !others.every((dim) => typeof dim === 'number')) continue;
    const outer = others.slice(0, Math.max(0, axis - 1));
    return { shape, side, outer: product(outer), inner: product(others.slice(outer.length)) };
  }
  return undefined;
}

const product = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1);

/** Numbers of a prompt's record. */
export function recordLength(kept: readonly RowValue[], { lengths }: Pick<BatchPrompt, 'lengths'>): number {
  return kept.reduce((sum, { side, outer, inner }) => sum + outer * lengths[side]! * inner, 0);
}

/** Stretches of numbers that a prompt's record and the kept value number `at` have in common. */
export interface SharedStretch {
  readonly inRecord: number;
  readonly inValue: number;
  readonly length: number;
}

/** For the prompt in row `row` of a batch whose padded rows have `width` tokens on the value's side. */
export function sharedStretches(
  kept: readonly RowValue[],
  at: number,
  { lengths }: BatchPrompt,
  row: number,
  width: number,
): SharedStretch[] {
  const { side, outer, inner } = kept[at]!;
  const length = lengths[side]! * inner;
  const first = recordLength(kept.slice(0, at), { lengths });
  return Array.from({ length: outer }, (_, part) => ({
    inRecord: first + part * length,
    inValue: (row * outer + part) * width * inner,
    length,
  }));
}
