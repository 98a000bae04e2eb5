// Sizes of axes: a number, or a product of named dimensions that is only known when a program runs.
// Knows no operation.

/**
 * A size: a number, or a product in canonical form such as `batch*tokens` or `12*tokens` (number first, names sorted).
 * Two symbolic sizes are equal exactly when their strings are.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** What the named dimensions are worth in one run. */
export type DimValues = ReadonlyMap<string, number>;

/** The product of any sizes, canonical: `multiplyDims('tokens', 2, 'batch')` is `2*batch*tokens`. */
export function multiplyDims(...dims: readonly Dim[]): Dim {
  let factor = 1;
  const names: string[] = [];
  for (const part of dims.flatMap((dim) => String(dim).split('*'))) {
    if (/^\d+$/.test(part)) factor *= Number(part);
    else names.push(part);
  }
  if (names.length === 0 || factor === 0) return factor;
  names.sort();
  return factor === 1 ? names.join('*') : [factor, ...names].join('*');
}

/** The number that a size stands for. @throws RangeError that names a dimension without a value. */
export function evaluateDim(dim: Dim, values: DimValues): number {
  if (typeof dim === 'number') return dim;
  return dim.split('*').reduce((product, part) => {
    const size = /^\d+$/.test(part) ? Number(part) : values.get(part);
    if (size === undefined) throw new RangeError(`dimension '${part}' of '${dim}' has no value in this run`);
    return product * size;
  }, 1);
}

export function evaluateShape(shape: Shape, values: DimValues): number[] {
  return shape.map((dim) => evaluateDim(dim, values));
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/**
 * Learns the named dimensions from the sizes of one fed tensor. Composite sizes (`batch*tokens`) are checked later, by the
 * shapes that follow from them.
 * @throws RangeError when the rank or a known size disagrees.
 */
export function bindDims(shape: Shape, actual: readonly number[], values: Map<string, number>, what: string): void {
  const fail = (): never => {
    throw new RangeError(`${what}: expected shape [${shape.join(', ')}], got [${actual.join(', ')}]`);
  };
  if (shape.length !== actual.length) fail();
  for (const [axis, dim] of shape.entries()) {
    const size = actual[axis]!;
    const expected = typeof dim === 'number' ? dim : values.get(dim);
    if (expected !== undefined && expected !== size) fail();
    if (typeof dim === 'string' && !dim.includes('*')) values.set(dim, size);
  }
}
