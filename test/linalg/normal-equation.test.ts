import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalmenError } from '../../src/errors.js';
import {
  cheaperForm,
  type Form,
  type NormalEquationOptions,
  openNormalEquation,
} from '../../src/linalg/normal-equation.js';
import {
  addRidge,
  combine,
  distance,
  dot,
  norm,
  product,
  type Rows,
  randomRows,
  solve,
  toRows,
  toTensor,
  transpose,
} from './float64.js';
import { ReferenceOps, type RefMatrix } from './reference-ops.js';

/** S = (K^T K + lambda P)^-1 K^T D in float64, P the identity unless given. */
function exactShift(keys: Rows, changes: Rows, lambda: number, penalty?: Rows): number[][] {
  const transposed = transpose(keys);
  const gram = product(transposed, keys);
  return solve(penalty ? combine(gram, lambda, penalty) : addRidge(gram, lambda), product(transposed, changes));
}

interface Problem {
  readonly keys: Rows;
  readonly changes: Rows;
  readonly lambda: number;
  readonly weightGradient: Rows;
  readonly penalty?: Rows;
}

interface Settings {
  readonly form?: Form;
  readonly tile?: number;
  /** Rows of each chunk but the last; all in one unless given. */
  readonly chunk?: number;
}

function problem(seed: number, rows: number, keySize: number, valueSize: number, lambda: number): Problem {
  return {
    keys: randomRows(seed, rows, keySize),
    changes: randomRows(seed + 1, rows, valueSize),
    weightGradient: randomRows(seed + 2, keySize, valueSize),
    lambda,
  };
}

function options(given: Problem, settings: Settings = {}): NormalEquationOptions<RefMatrix> {
  const { chunk: _, ...rest } = settings;
  const keySize = given.weightGradient.length;
  const valueSize = given.weightGradient[0]!.length;
  return { module: 'h.3.mlp', keySize, valueSize, rows: given.keys.length, lambda: given.lambda, ...rest };
}

/** Solves and differentiates through the module under test; checks that nothing leaks. */
async function run(given: Problem, settings: Settings = {}, ops = new ReferenceOps()) {
  const { keys, changes, weightGradient } = given;
  const chunks = chunked(keys.length, settings.chunk ?? keys.length);
  const upload = (rows: Rows) => ops.upload(toTensor(rows));
  const download = async (matrix: RefMatrix) => toRows(await ops.download(matrix));
  const penalty = given.penalty && (await upload(given.penalty));
  const equation = openNormalEquation(ops, { ...options(given, settings), ...(penalty ? { penalty } : {}) });
  for (const [start, end] of chunks) {
    const chunk = [await upload(keys.slice(start, end)), await upload(changes.slice(start, end))] as const;
    await equation.add(...chunk);
    ops.release(...chunk);
  }
  const solved = await equation.solve();
  const gradient = await upload(weightGradient);
  const meta = await solved.metaGradient(gradient);
  const changeGradient: number[][] = [];
  for (const [start, end] of chunks) {
    const chunk = await upload(keys.slice(start, end));
    const rows = await meta.changeGradient(chunk, start);
    changeGradient.push(...(await download(rows)));
    ops.release(chunk, rows);
  }
  const shift = await download(solved.shift);
  const lowRank = solved.lowRank && [await download(solved.lowRank.keys), await download(solved.lowRank.coefficients)];
  solved.release();
  meta.release();
  ops.release(gradient, ...(penalty ? [penalty] : []));
  expect(ops.live).toBe(0);
  return { shift, changeGradient, lambdaGradient: meta.lambdaGradient, form: solved.form, lowRank };
}

function chunked(rows: number, size: number): [number, number][] {
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => [i * size, Math.min((i + 1) * size, rows)]);
}

const cases = fc.record({
  seed: fc.nat(1e6),
  rows: fc.integer({ min: 1, max: 16 }),
  keySize: fc.integer({ min: 1, max: 16 }),
  valueSize: fc.integer({ min: 1, max: 4 }),
  lambda: fc.double({ min: 0.05, max: 20, noNaN: true }),
  tile: fc.integer({ min: 1, max: 17 }),
  chunk: fc.integer({ min: 1, max: 16 }),
  form: fc.constantFrom<Form>('primal', 'dual'),
});

test('both forms give the float64 shift, whatever the tile and the chunks', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, rows, keySize, valueSize, lambda, ...settings }) => {
      const given = problem(seed, rows, keySize, valueSize, lambda);
      const expected = exactShift(given.keys, given.changes, lambda);
      const { shift, form } = await run(given, settings);
      expect(form).toBe(settings.form);
      // Relative error: rounding unit times the condition number, here at most (|K|^2 + lambda) / lambda.
      const condition = norm(given.keys) ** 2 / lambda + 1;
      expect(distance(shift, expected)).toBeLessThan(20 * 2 ** -24 * condition * norm(expected) + 1e-6);
    }),
    { numRuns: 80 },
  );
});

test('the low-rank pair of the dual form is the shift', async () => {
  const { shift, lowRank } = await run(problem(5, 6, 9, 3, 0.5), { tile: 4 });
  expect(distance(product(transpose(lowRank![0]!), lowRank![1]!), shift)).toBeLessThan(1e-5 * norm(shift));
});

test('meta-gradients are the float64 finite differences of <G, S(D, lambda)>', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, rows, keySize, valueSize, lambda, ...settings }) => {
      const given = problem(seed, rows, keySize, valueSize, lambda);
      const got = await run(given, settings);
      const condition = norm(given.keys) ** 2 / lambda + 1;
      const tolerance = 1e-5 * condition;
      const changes = finiteChangeGradient(given);
      expect(distance(got.changeGradient, changes)).toBeLessThan(tolerance * (norm(changes) + 1e-3));
      const step = 1e-4 * lambda;
      const expected =
        (loss({ ...given, lambda: lambda + step }) - loss({ ...given, lambda: lambda - step })) / (2 * step);
      const scale = (norm(given.weightGradient) * norm(exactShift(given.keys, given.changes, lambda))) / lambda;
      expect(Math.abs(got.lambdaGradient - expected)).toBeLessThan(tolerance * scale + 1e-6);
    }),
    { numRuns: 40 },
  );
});

function loss({ keys, changes, lambda, weightGradient, penalty }: Problem): number {
  return dot(weightGradient, exactShift(keys, changes, lambda, penalty));
}

test('with a penalty, the shift and its derivatives are those of lambda P in place of lambda I', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, rows, keySize, valueSize, lambda, tile, chunk }) => {
      const roots = randomRows(seed + 3, keySize, keySize);
      const penalty = addRidge(product(transpose(roots), roots), 0.5);
      const given = { ...problem(seed, rows, keySize, valueSize, lambda), penalty };
      const got = await run(given, { tile, chunk });
      expect(got.form).toBe('primal');
      const condition = (norm(given.keys) ** 2 + lambda * norm(penalty)) / (0.5 * lambda);
      const expected = exactShift(given.keys, given.changes, lambda, penalty);
      expect(distance(got.shift, expected)).toBeLessThan(20 * 2 ** -24 * condition * norm(expected) + 1e-6);
      const changes = finiteChangeGradient(given);
      expect(distance(got.changeGradient, changes)).toBeLessThan(1e-5 * condition * (norm(changes) + 1e-3));
      const step = 1e-4 * lambda;
      const slope =
        (loss({ ...given, lambda: lambda + step }) - loss({ ...given, lambda: lambda - step })) / (2 * step);
      const scale = (norm(given.weightGradient) * norm(expected)) / lambda;
      expect(Math.abs(got.lambdaGradient - slope)).toBeLessThan(1e-5 * condition * scale + 1e-6);
    }),
    { numRuns: 40 },
  );
});

/** Central differences; the loss is linear in D, so a step of 1 is exact. */
function finiteChangeGradient(given: Problem): number[][] {
  return given.changes.map((row, r) =>
    row.map((_, c) => {
      const unit = given.changes.map((values, i) => values.map((_, j) => +(i === r && j === c)));
      const moved = (by: number) => loss({ ...given, changes: combine(given.changes, by, unit) });
      return (moved(1) - moved(-1)) / 2;
    }),
  );
}

test('more than 512 rows are summed in parts, and the parts do not matter', async () => {
  const given = problem(11, 2500, 6, 2, 1);
  const expected = exactShift(given.keys, given.changes, 1);
  for (const chunk of [300, 1100, 2500]) {
    const { shift, form } = await run(given, { chunk, tile: 4 });
    expect(form).toBe('primal');
    expect(distance(shift, expected)).toBeLessThan(1e-4 * norm(expected));
  }
});

test('the form with fewer operations is chosen', async () => {
  const operations = (form: Form, n: number, k: number, v: number) =>
    form === 'primal' ? n * k * k + k ** 3 / 3 + 4 * k * k * v : n * n * k + n ** 3 / 3 + 4 * n * n * v;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 1, max: 500 }),
      (n, k, v) => {
        const chosen = cheaperForm(n, k);
        expect(operations(chosen, n, k, v)).toBeLessThanOrEqual(
          operations(chosen === 'dual' ? 'primal' : 'dual', n, k, v),
        );
      },
    ),
  );
  expect(cheaperForm(8, 8)).toBe('primal');
  expect((await run(problem(1, 7, 8, 2, 1))).form).toBe('dual');
  expect((await run(problem(1, 8, 8, 2, 1))).form).toBe('primal');
});

test.each<Form>(['primal', 'dual'])('no rows give a zero shift, even without a ridge (%s)', async (form) => {
  const ops = new ReferenceOps();
  const equation = openNormalEquation(ops, { module: 'h.0', keySize: 3, valueSize: 2, rows: 0, lambda: 0, form });
  const solved = await equation.solve();
  expect(toRows(await ops.download(solved.shift))).toEqual([[0, 0], [0, 0], [0, 0]]); // biome-ignore format: one line
  const meta = await solved.metaGradient(solved.shift);
  expect(meta.lambdaGradient).toBe(0);
  await expect(meta.changeGradient(solved.shift, 0)).rejects.toThrow('h.0: it had no rows');
  solved.release();
  expect(ops.live).toBe(0);
});

test.each<Form>(['primal', 'dual'])(
  '%s: what is not positive definite is told with its place and a remedy',
  async (form) => {
    const ops = new ReferenceOps();
    const same = Array.from({ length: 6 }, () => [1, 2, 3, 4, 5, 6]);
    const given = { ...problem(3, 6, 6, 2, 0), keys: same };
    const error = await failure(run(given, { form, tile: 4 }, ops));
    expect(error).toMatchObject({ code: 'not-positive-definite' });
    expect(error.message).toMatch(/^h\.3\.mlp: .* pivot 1 of 6 is \S+ with lambda = 0; .*larger lambda/);
    expect(ops.live).toBe(0);
  },
);

test.each<Form>(['primal', 'dual'])('%s: a key that is not finite is told', async (form) => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e30]) {
    const ops = new ReferenceOps();
    const given = problem(3, 6, 6, 2, 1);
    const keys = given.keys.map((row, r) => row.map((x, c) => (r === 2 && c === 2 ? value : x)));
    const error = await failure(run({ ...given, keys }, { form, tile: 2 }, ops));
    expect(error).toMatchObject({ code: 'not-positive-definite' });
    expect(error.message).toMatch(/pivot \d of 6 is (NaN|Infinity) .*check the model and its inputs/);
    expect(ops.live).toBe(0);
  }
});

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('lambda = %d is refused', (lambda) => {
  const open = () =>
    openNormalEquation(new ReferenceOps(), { module: 'h.1', keySize: 1, valueSize: 1, rows: 1, lambda });
  expect(open).toThrow(MalmenError);
  expect(open).toThrow(`h.1: lambda must be a finite number that is not negative, got ${lambda}`);
});

test.each<Form>(['primal', 'dual'])('%s: wherever the device fails, everything is released', async (form) => {
  const given = problem(4, 7, 6, 2, 1);
  const counting = new ReferenceOps();
  await equationOnly(counting, given, form);
  const operations = counting.made;
  expect(operations).toBeGreaterThan(20);
  for (let failAt = 0; failAt < operations; failAt++) {
    const ops = new ReferenceOps();
    ops.failAt = failAt;
    expect((await failure(equationOnly(ops, given, form))).message).toBe('the device failed');
    expect(ops.live, `operation ${failAt}`).toBe(0);
  }
});

/** Feeds two chunks, solves, differentiates; releases only what the caller owns. */
async function equationOnly(ops: ReferenceOps, given: Problem, form: Form): Promise<void> {
  const own: RefMatrix[] = [];
  const upload = async (rows: Rows) => {
    own.push(await ops.upload(toTensor(rows)));
    return own.at(-1)!;
  };
  const equation = openNormalEquation(ops, options(given, { form, tile: 2 }));
  try {
    await equation.add(await upload(given.keys.slice(0, 3)), await upload(given.changes.slice(0, 3)));
    await equation.add(await upload(given.keys.slice(3)), await upload(given.changes.slice(3)));
    const solved = await equation.solve();
    try {
      const meta = await solved.metaGradient(await upload(given.weightGradient));
      meta.release();
    } finally {
      solved.release();
    }
  } finally {
    equation.release();
    ops.release(...own);
  }
}

test('an equation is fed exactly what it was opened for, and solved once', async () => {
  const ops = new ReferenceOps();
  const given = problem(2, 4, 3, 2, 1);
  const keys = await ops.upload(toTensor(given.keys));
  const changes = await ops.upload(toTensor(given.changes));
  const equation = openNormalEquation(ops, options(given));
  await expect(equation.add(changes, changes)).rejects.toThrow('h.3.mlp: keys must be [4,3], got [4,2]');
  await expect(equation.add(keys, keys)).rejects.toThrow('h.3.mlp: changes must be [4,2], got [4,3]');
  await expect(equation.solve()).rejects.toThrow('opened for 4 rows, got 0');
  await equation.add(keys, changes);
  await expect(equation.add(keys, changes)).rejects.toThrow('opened for 4 rows, got 8');
  equation.release();
  await expect(equation.solve()).rejects.toThrow('already solved or released');
  ops.release(keys, changes);
  expect(ops.live).toBe(0);
});

async function failure(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: Error) => error,
  );
}

test('rows that come all at once are not copied all at once', async () => {
  const [rows, k, v] = [8192, 4, 2];
  const ops = new ReferenceOps();
  const given = problem(1, rows, k, v, 1);
  const [keys, changes] = [await ops.upload(toTensor(given.keys)), await ops.upload(toTensor(given.changes))];
  const before = ops.held;
  const equation = openNormalEquation(ops, options(given, { form: 'primal' }));
  await equation.add(keys, changes);
  // The sums and one transposed slice of 512 rows; the slices themselves are views.
  expect(ops.peak - before).toBeLessThanOrEqual(k * k + k * v + 512 * k);
  equation.release();
  ops.release(keys, changes);
  expect(ops.live).toBe(0);
});

test('memory stays within what the two forms document', async () => {
  const [k, v, tile, chunk] = [48, 16, 4, 64];
  const lowerHalf = (size: number) => (size * size + size * tile) / 2;
  for (const rows of [64, 640]) {
    const ops = new ReferenceOps();
    await run(problem(1, rows, k, v, 1), { form: 'primal', tile, chunk }, ops);
    const adding = lowerHalf(k) + k * v + 4 * rows * (k + v);
    const solving = lowerHalf(k) + 5 * k * v + 2 * tile * (k + v);
    expect(ops.peak).toBeLessThanOrEqual(Math.max(adding, solving));
  }
  const rows = 40;
  const ops = new ReferenceOps();
  await run(problem(1, rows, k, v, 1), { form: 'dual', tile, chunk }, ops);
  const kept = rows * k + lowerHalf(rows) + rows * v + k * v;
  const differentiating = kept + k * v + 3 * rows * v + 2 * tile * (k + v);
  expect(ops.peak).toBeLessThanOrEqual(Math.max(2 * rows * (k + v) + chunk * (k + v), differentiating));
});
