// For every operation of the tensor language, random small uses of it. The table is exhaustive by type: a new operation
// without a case does not compile, and the tests of values and of gradients go through all of it.

import fc from 'fast-check';
import * as b from '../../src/graph/build.js';
import { evaluateShape, type Shape } from '../../src/graph/dim.js';
import type { OpName, Value } from '../../src/graph/ops.js';
import { Random } from '../../src/util/random.js';
import type { Feeds64, Tensor64 } from './interpreter.js';
import { drawTensor, indexTensor } from './tensor64.js';

/** What a case builds: a value made by the operation, and what is known about its operands. */
interface Use {
  readonly value: Value;
  /** Operands with a derivative. */
  readonly wanted?: readonly Value[];
  /** Operands whose derivative must be refused. */
  readonly refused?: readonly Value[];
}

export interface OpCase extends Required<Use> {
  readonly feeds: Feeds64;
  readonly dims: Readonly<Record<string, number>>;
}

type Cases = Readonly<Record<string, fc.Arbitrary<OpCase>>>;

/** Makes operands and remembers what to feed for them: parameters, or inputs where a dimension is named. */
class Operands {
  readonly feeds: Record<string, Tensor64> = {};
  readonly random: Random;
  readonly #dims: ReadonlyMap<string, number>;

  constructor(seed: number, dims: Readonly<Record<string, number>>) {
    this.random = new Random(seed);
    this.#dims = new Map(Object.entries(dims));
  }

  /** Elements from `draw`, by default uniform in [-2, 2). */
  real(shape: Shape, draw: (random: Random) => number = (random) => 4 * random.uniform() - 2): Value {
    const name = `x${Object.keys(this.feeds).length}`;
    const sizes = evaluateShape(shape, this.#dims);
    const fixed = shape.every((dim) => typeof dim === 'number');
    this.feeds[fixed ? `@${name}` : name] = drawTensor(sizes, () => draw(this.random));
    return fixed ? b.parameter(name, sizes) : b.input(name, shape);
  }

  indices(shape: Shape, below: number): Value {
    const name = `i${Object.keys(this.feeds).length}`;
    this.feeds[name] = indexTensor(this.random, evaluateShape(shape, this.#dims), below);
    return b.input(name, shape, 'i64');
  }
}

const positive = (random: Random) => 0.5 + 1.5 * random.uniform();
/** Away from zero, of both signs: where relu and 1/x are smooth. */
const awayFromZero = (random: Random) => (random.uniform() < 0.5 ? -1 : 1) * positive(random);
const someZeros = (random: Random) => random.integer(3) - 1;

/** A case whose sizes come from `drawn`, and whose named dimensions are worth `dims(drawn)`. */
function using<T>(
  drawn: fc.Arbitrary<T>,
  use: (make: Operands, drawn: T) => Use,
  dims: (drawn: T) => Readonly<Record<string, number>> = () => ({}),
): fc.Arbitrary<OpCase> {
  return fc.tuple(fc.integer({ min: 0, max: 2 ** 31 }), drawn).map(([seed, chosen]) => {
    const sizes = dims(chosen);
    const make = new Operands(seed, sizes);
    const { value, wanted = [], refused = [] } = use(make, chosen);
    return { value, wanted, refused, feeds: make.feeds, dims: sizes };
  });
}

const size = fc.integer({ min: 1, max: 4 });
const shape = (minLength: number, maxLength: number) => fc.array(size, { minLength, maxLength });
const anyShape = shape(1, 4);
const flag = fc.boolean();

interface Named {
  readonly batch: number;
  readonly tokens: number;
}
const named = fc.record({ batch: size, tokens: size });
const namedSizes = ({ batch, tokens }: Named) => ({ batch, tokens });

/** A use with named dimensions batch and tokens. */
const usingNamed = (use: (make: Operands) => Use) => using(named, use, namedSizes);

function unaryCases(f: (x: Value) => Value, draw?: (random: Random) => number): Cases {
  const use = (make: Operands, sizes: Shape): Use => {
    const x = make.real(sizes, draw);
    return { value: f(x), wanted: [x] };
  };
  return { 'any rank': using(anyShape, use), named: usingNamed((make) => use(make, ['batch', 'tokens', 3])) };
}

/** Two shapes that broadcast: each side lacks some leading axes and has size 1 on some others. */
const broadcastShapes = anyShape.chain((full) => {
  const side = fc.tuple(fc.nat(full.length), fc.array(flag, { minLength: full.length, maxLength: full.length }));
  const cut = ([lead, ones]: [number, boolean[]]) => full.map((n, axis) => (ones[axis] ? 1 : n)).slice(lead);
  return fc.tuple(side.map(cut), side.map(cut));
});

function binaryCases(f: (x: Value, y: Value) => Value, draw?: (random: Random) => number): Cases {
  const use = (make: Operands, left: Shape, right: Shape): Use => {
    const x = make.real(left, draw);
    const y = make.real(right, draw);
    return { value: f(x, y), wanted: [x, y] };
  };
  return {
    broadcast: using(broadcastShapes, (make, [left, right]) => use(make, left, right)),
    'named left': usingNamed((make) => use(make, ['batch', 1, 'tokens', 2], ['tokens', 'tokens', 1])),
    'named right': usingNamed((make) => use(make, [3], ['batch*tokens', 3])),
    'with itself': using(anyShape, (make, sizes) => {
      const x = make.real(sizes, draw);
      return { value: f(x, x), wanted: [x] };
    }),
    'with a number': using(anyShape, (make, sizes) => {
      const x = make.real(sizes, draw);
      return { value: f(b.constant(0.75), x), wanted: [x] };
    }),
  };
}

const swapIf = (swap: boolean, rows: number | string, columns: number | string) =>
  swap ? [columns, rows] : [rows, columns];

const productSizes = fc.record({ m: size, k: size, n: size, transposeA: flag, transposeB: flag });

function gemmUse(plus: 'nothing' | 'row' | 'matrix', m: (drawn: number) => number | string) {
  return (
    make: Operands,
    drawn: { m: number; k: number; n: number; transposeA: boolean; transposeB: boolean },
  ): Use => {
    const { k, n, transposeA, transposeB } = drawn;
    const x = make.real(swapIf(transposeA, m(drawn.m), k));
    const y = make.real(swapIf(transposeB, k, n));
    const alpha = Math.fround(0.5 + make.random.uniform());
    if (plus === 'nothing') return { value: b.gemm(x, y, { transposeA, transposeB, alpha }), wanted: [x, y] };
    const c = make.real(plus === 'row' ? [n] : [m(drawn.m), n]);
    return { value: b.gemm(x, y, { transposeA, transposeB, alpha, plus: c }), wanted: [x, y, c] };
  };
}

function gemmCases(): Cases {
  const fixed = (m: number) => m;
  return {
    plain: using(productSizes, gemmUse('nothing', fixed)),
    'plus row': using(productSizes, gemmUse('row', fixed)),
    'plus matrix': using(productSizes, gemmUse('matrix', fixed)),
    'named rows': using(
      productSizes,
      gemmUse('matrix', () => 'rows'),
      ({ m }) => ({ rows: m }),
    ),
    'inner size named': using(
      productSizes,
      (make, { m, n, transposeA, transposeB }) => {
        const x = make.real(swapIf(transposeA, m, 'rows'));
        const y = make.real(swapIf(transposeB, 'rows', n));
        return { value: b.gemm(x, y, { transposeA, transposeB }), wanted: [x, y] };
      },
      ({ k }) => ({ rows: k }),
    ),
  };
}

function matMulCases(): Cases {
  const use = (make: Operands, lead: Shape, [m, k, n]: Shape, transposeA: boolean, transposeB: boolean): Use => {
    const x = make.real([...lead, ...swapIf(transposeA, m!, k!)]);
    const y = make.real([...lead, ...swapIf(transposeB, k!, n!)]);
    return { value: b.matMul(x, y, { transposeA, transposeB }), wanted: [x, y] };
  };
  return {
    batched: using(fc.tuple(shape(1, 2), productSizes), (make, [lead, { m, k, n, transposeA, transposeB }]) =>
      use(make, lead, [m, k, n], transposeA, transposeB),
    ),
    'attention scores': usingNamed((make) => use(make, ['batch', 2], ['tokens', 3, 'tokens'], false, true)),
    'attention mix': usingNamed((make) => use(make, ['batch', 2], ['tokens', 'tokens', 3], false, false)),
  };
}

const permuted = anyShape.chain((sizes) => {
  const axes = sizes.map((_, axis) => axis);
  return fc.record({
    sizes: fc.constant(sizes),
    permutation: fc.shuffledSubarray(axes, { minLength: axes.length, maxLength: axes.length }),
  });
});

/** A shape and another of as many elements: sizes multiplied together, and ones put in. */
const reshaped = shape(1, 4).chain((sizes) =>
  fc.tuple(fc.nat(sizes.length - 1), fc.nat(sizes.length)).map(([merge, one]) => {
    const merged = sizes.flatMap((n, axis) =>
      axis === merge + 1 ? [] : [axis === merge ? n * (sizes[axis + 1] ?? 1) : n],
    );
    return { from: sizes, to: merged.toSpliced(one, 0, 1) };
  }),
);

function reshapeCases(): Cases {
  const use =
    (from: Shape, to: Shape) =>
    (make: Operands): Use => {
      const x = make.real(from);
      return { value: b.makeValue('reshape', [x], { shape: to }), wanted: [x] };
    };
  return {
    numbers: using(reshaped, (make, { from, to }) => use(from, to)(make)),
    'to a composite size': usingNamed(use(['batch', 'tokens', 4], ['batch*tokens', 4])),
    'from a composite size': usingNamed(use(['batch*tokens', 4], ['batch', 'tokens', 2, 2])),
    'to factor and name': usingNamed(use(['batch', 'tokens', 4], ['4*batch*tokens'])),
    'to ones': usingNamed(use(['batch', 'tokens'], ['batch', 1, 1, 'tokens'])),
    'to a scalar': using(fc.constant([1, 1]), (make, from) => use(from, [])(make)),
    indices: usingNamed((make) => ({ value: b.reshape(make.indices(['batch', 'tokens'], 9), ['batch*tokens']) })),
  };
}

const widened = broadcastShapes.map(([left, right]) => {
  const rank = Math.max(left.length, right.length);
  const padded = [left, right].map((sizes) => [...Array<number>(rank - sizes.length).fill(1), ...sizes]);
  return { from: left, to: padded[0]!.map((n, axis) => Math.max(n, padded[1]![axis]!)) };
});

function broadcastCases(): Cases {
  const use = (make: Operands, from: Shape, to: Shape): Use => {
    const x = make.real(from);
    return { value: b.makeValue('broadcastTo', [x], { shape: to }), wanted: [x] };
  };
  return {
    numbers: using(widened, (make, { from, to }) => use(make, from, to)),
    named: usingNamed((make) => use(make, [1, 3], ['batch', 'tokens', 3])),
    'composite size': usingNamed((make) => use(make, [1, 3], ['batch*tokens', 3])),
  };
}

const someAxes = anyShape.chain((sizes) =>
  fc.record({
    sizes: fc.constant(sizes),
    axes: fc.subarray(
      sizes.map((_, axis) => axis),
      { minLength: 1 },
    ),
    keepDims: flag,
  }),
);

function reduceSumCases(): Cases {
  const use = (make: Operands, sizes: Shape, axes: readonly number[], keepDims: boolean): Use => {
    const x = make.real(sizes);
    return { value: b.reduceSum(x, axes, keepDims), wanted: [x] };
  };
  return {
    'some axes': using(someAxes, (make, { sizes, axes, keepDims }) => use(make, sizes, axes, keepDims)),
    'named axes': usingNamed((make) => use(make, ['batch', 'tokens', 3], [0, 2], false)),
    'all named axes': usingNamed((make) => use(make, ['batch*tokens', 'tokens'], [0, 1], false)),
  };
}

/** A shape, one of its axes, and a number of equal parts. */
const parted = fc.record({ sizes: anyShape, at: fc.nat(3), parts: fc.integer({ min: 1, max: 3 }), pick: fc.nat(2) });

function splitCases(op: 'split' | 'placePart'): Cases {
  return {
    'equal parts': using(parted, (make, { sizes, at, parts, pick }) => {
      const axis = at % sizes.length;
      const x = make.real(op === 'split' ? sizes.with(axis, sizes[axis]! * parts) : sizes);
      return { value: b.makeValue(op, [x], { axis, parts, index: pick % parts }), wanted: [x] };
    }),
    'beside a named axis': usingNamed((make) => {
      const x = make.real(['batch*tokens', 6]);
      return { value: b.makeValue(op, [x], { axis: 1, parts: 3, index: 1 }), wanted: [x] };
    }),
  };
}

function concatCases(): Cases {
  return {
    'unequal parts': using(
      fc.record({ sizes: anyShape, at: fc.nat(3), parts: shape(1, 3) }),
      (make, { sizes, at, parts }) => {
        const axis = at % sizes.length;
        const values = parts.map((n) => make.real(sizes.with(axis, n)));
        return { value: b.concat(values, axis), wanted: values };
      },
    ),
    'one value twice': using(anyShape, (make, sizes) => {
      const x = make.real(sizes);
      return { value: b.concat([x, x], sizes.length - 1), wanted: [x] };
    }),
    'named sizes and a name for their sum': using(
      named,
      (make) => {
        const values = [make.real([2, 'batch', 3]), make.real([2, 'tokens', 3])];
        return { value: b.concat(values, 1, 'all'), refused: values };
      },
      ({ batch, tokens }) => ({ batch, tokens, all: batch + tokens }),
    ),
    'along a named axis': usingNamed((make) => {
      const values = [make.real(['batch', 3]), make.real(['batch', 3])];
      return { value: b.concat(values, 0), refused: values };
    }),
  };
}

function sliceCases(): Cases {
  const cut = fc.record({ sizes: anyShape, at: fc.nat(3), before: fc.nat(2), after: fc.nat(2) });
  return {
    'within the axis': using(cut, (make, { sizes, at, before, after }) => {
      const axis = at % sizes.length;
      const x = make.real(sizes.with(axis, sizes[axis]! + before + after));
      return { value: b.slice(x, axis, before, before + sizes[axis]!), wanted: [x] };
    }),
    'beside a named axis': usingNamed((make) => {
      const x = make.real(['batch', 5]);
      return { value: b.slice(x, 1, 1, 4), wanted: [x] };
    }),
  };
}

function padCases(): Cases {
  const frame = fc.record({ sizes: anyShape, at: fc.nat(3), before: fc.nat(2), after: fc.nat(2) });
  return {
    'any axis': using(frame, (make, { sizes, at, before, after }) => {
      const x = make.real(sizes);
      return { value: b.makeValue('pad', [x], { axis: at % sizes.length, before, after }), wanted: [x] };
    }),
  };
}

function gatherCases(): Cases {
  const use = (make: Operands, table: Shape, chosen: Shape, below: number): Use => {
    const x = make.real(table);
    return { value: b.gatherRows(x, make.indices(chosen, below)), wanted: [x] };
  };
  return {
    'repeated rows': using(fc.tuple(shape(1, 3), fc.integer({ min: 1, max: 9 })), (make, [table, count]) =>
      use(make, table, [count], table[0]!),
    ),
    'indices of any rank': using(fc.tuple(shape(1, 3), shape(1, 3)), (make, [table, chosen]) =>
      use(make, table, chosen, table[0]!),
    ),
    'embedding table': usingNamed((make) => use(make, [5, 3], ['batch', 'tokens'], 5)),
    'rows of a named axis': usingNamed((make) => use(make, ['batch*tokens', 3], ['batch'], 1)),
  };
}

function scatterCases(): Cases {
  const use = (make: Operands, updates: Shape, rows: number | string, below: number): Use => {
    const x = make.real(updates);
    return { value: b.scatterAddRows(x, make.indices([updates[0]!], below), rows), wanted: [x] };
  };
  return {
    'repeated rows': using(fc.tuple(shape(1, 3), size), (make, [updates, rows]) => use(make, updates, rows, rows)),
    'named rows': usingNamed((make) => use(make, ['tokens', 3], 'batch', 1)),
  };
}

/** Logits [n, c], three times as large as usual so that probabilities differ, and labels [n]. */
function logitsAndLabels(make: Operands, rows: number | string, classes: number): [Value, Value] {
  return [make.real([rows, classes], (random) => 3 * random.normal()), make.indices([rows], classes)];
}

const rowsAndClasses = fc.tuple(size, fc.integer({ min: 1, max: 6 }));

function labelCases(use: (make: Operands, rows: number | string, classes: number) => Use): Cases {
  return {
    numbers: using(rowsAndClasses, (make, [rows, classes]) => use(make, rows, classes)),
    'named rows': usingNamed((make) => use(make, 'tokens', 5)),
  };
}

/** Epsilons that keep the third derivative small enough for finite differences, whatever the row. */
const normShape = fc.record({
  lead: shape(1, 3),
  width: fc.integer({ min: 1, max: 6 }),
  epsilon: fc.constantFrom(0.5, 0.01),
});

function normCases(use: (make: Operands, x: Shape, epsilon: number) => Use): Cases {
  return {
    'any rank': using(normShape, (make, { lead, width, epsilon }) => use(make, [...lead, width], epsilon)),
    'named rows': usingNamed((make) => use(make, ['batch*tokens', 8], 0.01)),
  };
}

function normOperands(make: Operands, x: Shape): [Value, Value, Value] {
  return [make.real(x), make.real([x.at(-1)!]), make.real([x.at(-1)!])];
}

function statisticCases(statistic: 'mean' | 'inverseDeviation'): Cases {
  const cases = normCases((make, sizes, epsilon) => {
    const operands = normOperands(make, sizes);
    return { value: b.makeValue('layerNormStatistic', operands, { epsilon, statistic }), refused: operands };
  });
  return Object.fromEntries(Object.entries(cases).map(([title, one]) => [`${statistic}, ${title}`, one]));
}

/** (x, g) -> result, of one shape. */
function gradientOpCases(f: (x: Value, g: Value) => Value, draw?: (random: Random) => number): Cases {
  const use = (make: Operands, sizes: Shape): Use => {
    const operands = [make.real(sizes, draw), make.real(sizes)] as const;
    return { value: f(...operands), refused: operands };
  };
  return { 'any rank': using(anyShape, use), named: usingNamed((make) => use(make, ['batch', 'tokens', 3])) };
}

/** The cases of several variants of one operation. */
function variants(of: Readonly<Record<string, Cases>>): Cases {
  const entries = Object.entries(of).flatMap(([variant, cases]) =>
    Object.entries(cases).map(([title, one]) => [`${variant}: ${title}`, one] as const),
  );
  return Object.fromEntries(entries);
}

const valuesOnly = (cases: Cases): Cases =>
  Object.fromEntries(Object.entries(cases).map(([title, one]) => [title, one.map((use) => ({ ...use, wanted: [] }))]));

/** Tables of relative positions: as many entries on both sides. */
const odd = fc
  .integer({ min: 0, max: 3 })
  .chain((most) => fc.array(fc.nat(9), { minLength: 2 * most + 1, maxLength: 2 * most + 1 }));

export const opCases: { readonly [K in OpName]: Cases } = {
  input: {
    reals: usingNamed((make) => {
      const x = make.real(['batch', 'tokens', 3]);
      return { value: x, wanted: [x] };
    }),
    indices: usingNamed((make) => ({ value: make.indices(['batch', 'tokens'], 9) })),
  },
  parameter: {
    'any rank': using(shape(0, 4), (make, sizes) => {
      const x = make.real(sizes);
      return { value: x, wanted: [x] };
    }),
  },
  constant: {
    numbers: using(fc.constantFrom(0, -1, 0.1, 1e-30, 3e30, Number.POSITIVE_INFINITY), (_, number) => ({
      value: b.constant(number),
    })),
  },

  vector: {
    numbers: using(fc.array(fc.constantFrom(0, -1, 0.25, 1024), { minLength: 1, maxLength: 5 }), (_, values) => ({
      value: b.vector(values),
    })),
  },
  toFloat: {
    positions: usingNamed((make) => ({ value: b.toFloat(make.indices(['batch', 'tokens'], 2 ** 20)) })),
  },

  add: binaryCases(b.add),
  sub: binaryCases(b.sub),
  mul: binaryCases(b.mul),
  div: binaryCases(b.div, awayFromZero),

  exp: unaryCases(b.exp),
  log: unaryCases(b.log, positive),
  sqrt: unaryCases(b.sqrt, positive),
  cos: unaryCases(b.cos),
  sin: unaryCases(b.sin),
  tanh: unaryCases(b.tanh),
  sigmoid: unaryCases(b.sigmoid),
  relu: variants({
    'slope 0': unaryCases((x) => b.relu(x, 0), awayFromZero),
    'slope 1': unaryCases((x) => b.relu(x, 1), awayFromZero),
    'at zero': valuesOnly(unaryCases((x) => b.relu(x), someZeros)),
  }),
  reluGradient: variants({
    'slope 0': gradientOpCases((x, g) => b.makeValue('reluGradient', [x, g], { slopeAtZero: 0 }), someZeros),
    'slope 1': gradientOpCases((x, g) => b.makeValue('reluGradient', [x, g], { slopeAtZero: 1 }), someZeros),
  }),
  gelu: variants({
    exact: unaryCases((x) => b.gelu(x, 'none')),
    tanh: unaryCases((x) => b.gelu(x, 'tanh')),
    'exact, far out': unaryCases(
      (x) => b.gelu(x, 'none'),
      (random) => 20 * random.normal(),
    ),
    'tanh, far out': unaryCases(
      (x) => b.gelu(x, 'tanh'),
      (random) => 20 * random.normal(),
    ),
  }),
  geluGradient: variants({
    exact: gradientOpCases((x, g) => b.makeValue('geluGradient', [x, g], { approximate: 'none' })),
    tanh: gradientOpCases((x, g) => b.makeValue('geluGradient', [x, g], { approximate: 'tanh' })),
    'tanh, far out': gradientOpCases(
      (x, g) => b.makeValue('geluGradient', [x, g], { approximate: 'tanh' }),
      (random) => 20 * random.normal(),
    ),
  }),

  gemm: gemmCases(),
  matMul: matMulCases(),

  transpose: {
    'any permutation': using(permuted, (make, { sizes, permutation }) => {
      const x = make.real(sizes);
      return { value: b.transpose(x, permutation), wanted: [x] };
    }),
    named: usingNamed((make) => {
      const x = make.real(['batch', 'tokens', 2, 3]);
      return { value: b.transpose(x, [2, 0, 3, 1]), wanted: [x] };
    }),
  },
  reshape: reshapeCases(),
  broadcastTo: broadcastCases(),
  reduceSum: reduceSumCases(),
  split: splitCases('split'),
  placePart: splitCases('placePart'),
  concat: concatCases(),
  slice: sliceCases(),
  pad: padCases(),

  gatherRows: gatherCases(),
  scatterAddRows: scatterCases(),

  softmax: unaryCases(b.softmax),
  logSoftmax: unaryCases(b.logSoftmax),
  crossEntropy: labelCases((make, rows, classes) => {
    const [logits, labels] = logitsAndLabels(make, rows, classes);
    return { value: b.crossEntropy(logits, labels), wanted: [logits] };
  }),
  crossEntropyGradient: labelCases((make, rows, classes) => {
    const [logits, labels] = logitsAndLabels(make, rows, classes);
    const g = make.real([rows]);
    return { value: b.makeValue('crossEntropyGradient', [logits, labels, g], {}), refused: [logits, g] };
  }),
  klDivergence: labelCases((make, rows, classes) => {
    const before = make.real([rows, classes]);
    const after = make.real([rows, classes]);
    return { value: b.klDivergence(before, after), wanted: [after], refused: [before] };
  }),

  layerNorm: normCases((make, sizes, epsilon) => {
    const operands = normOperands(make, sizes);
    return { value: b.layerNorm(...operands, epsilon), wanted: operands };
  }),
  layerNormStatistic: { ...statisticCases('mean'), ...statisticCases('inverseDeviation') },
  rmsNorm: normCases((make, sizes, epsilon) => {
    const operands = normOperands(make, sizes).slice(0, 2) as [Value, Value];
    return { value: b.rmsNorm(...operands, epsilon), wanted: operands };
  }),
  rmsNormStatistic: normCases((make, sizes, epsilon) => {
    const operands = normOperands(make, sizes).slice(0, 2);
    return { value: b.makeValue('rmsNormStatistic', operands, { epsilon }), refused: operands };
  }),

  argMax: {
    'with ties': using(shape(1, 3), (make, sizes) => {
      const x = make.real(sizes, someZeros);
      return { value: b.argMax(x), refused: [x] };
    }),
    named: usingNamed((make) => {
      const x = make.real(['batch', 'tokens', 5]);
      return { value: b.argMax(x), refused: [x] };
    }),
  },
  causalMask: {
    number: using(size, (_, n) => ({ value: b.causalMask(n) })),
    named: usingNamed(() => ({ value: b.causalMask('tokens') })),
    'last rows of all': using(fc.tuple(size, size), (_, [rows, earlier]) => ({
      value: b.causalMask(rows, rows + earlier),
    })),
    'named, last rows of all': using(
      fc.tuple(size, size),
      () => ({ value: b.causalMask('tokens', 'context') }),
      ([tokens, earlier]) => ({ tokens, context: tokens + earlier }),
    ),
  },
  relativeIndices: {
    number: using(fc.tuple(size, size, odd), (_, [rows, columns, table]) => ({
      value: b.relativeIndices(rows, columns, table),
    })),
    named: using(
      fc.tuple(size, odd),
      (_, [, table]) => ({ value: b.relativeIndices('tokens', 'tokens', table) }),
      ([tokens]) => ({ tokens }),
    ),
  },
};
