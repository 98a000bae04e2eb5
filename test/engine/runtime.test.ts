// The compute device's contract, the same behind a worker and in this thread: the same bytes, tensors that stay beside it,
// clear errors. The worker runs the built files: build first (npm run build).

import { existsSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openRuntime } from '../../src/engine/open-runtime.js';
import {
  type Device,
  type Feeds,
  type Resident,
  type Runtime,
  residentRows,
  type WeightBinding,
} from '../../src/engine/runtime.js';
import { MalmenError } from '../../src/errors.js';
import * as b from '../../src/graph/build.js';
import { makeProgram, type Program } from '../../src/graph/program.js';
import { f32, i64, type TensorOf } from '../../src/tensor.js';
import { physicalCores } from '../../src/util/physical-cores.js';
import { Random } from '../../src/util/random.js';

const cudaLibrary = 'onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so';
const cudaIsInstalled = existsSync(new URL(`../../node_modules/${cudaLibrary}`, import.meta.url));

const allFed: WeightBinding = { source: () => 'fed' };

function normal(seed: number, shape: readonly number[]): TensorOf<'f32'> {
  const random = new Random(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  return f32(
    Float32Array.from({ length: count }, () => random.normal()),
    shape,
  );
}

const x = b.input('x', ['rows', 8]);
const layer = b.softmax(b.gemm(x, b.parameter('w', [8, 5]), { plus: b.parameter('c', [5]) }));
const layerProgram = makeProgram({ probabilities: layer, best: b.argMax(layer), total: b.reduceSum(layer) });
const layerFeeds: Feeds = { x: normal(1, [6, 8]), '@w': normal(2, [8, 5]), '@c': normal(3, [5]) };

const doubled = makeProgram({ result: b.mul(b.input('x', ['rows', 2]), 2) });
const firstRows = f32([1, 2, 3, 4, 5, 6], [3, 2]);

async function runOnce(runtime: Runtime, program: Program, feeds: Feeds) {
  return runtime.run(await runtime.compile(program, allFed), feeds);
}

/** Threads that a session of a runtime brings into this process, which computes with one of its own. */
async function threadsOfSession(threads?: number): Promise<number> {
  const count = () => readdirSync('/proc/self/task').length;
  const runtime = await openRuntime({ device: 'cpu', inThread: true, ...(threads === undefined ? {} : { threads }) });
  const before = count();
  await runtime.compile(doubled, allFed);
  const brought = count() - before;
  await runtime.close();
  return brought;
}

test.runIf(process.platform === 'linux')('a session gets the threads asked for, else one for each core', async () => {
  expect(await threadsOfSession(1)).toBe(0);
  expect(await threadsOfSession(4)).toBe(3);
  expect(await threadsOfSession()).toBe(physicalCores() - 1);
});

/** Processor time of this process for each second that passes while a runtime has something to do now and then. */
async function loadBetweenRuns(): Promise<number> {
  const runtime = await openRuntime({ device: 'cpu', inThread: true, threads: 2 });
  const compiled = await runtime.compile(
    makeProgram({ result: b.gemm(b.input('x', ['n', 'n']), b.input('x', ['n', 'n'])) }),
    allFed,
  );
  const x = normal(4, [256, 256]);
  await runtime.run(compiled, { x });
  const [before, start] = [process.cpuUsage(), performance.now()];
  for (let i = 0; i < 30; i++) {
    await runtime.run(compiled, { x });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { user, system } = process.cpuUsage(before);
  const passed = performance.now() - start;
  await runtime.close();
  return (user + system) / 1000 / passed;
}

test('threads sleep between runs instead of spinning on cores that others need', async () => {
  expect(await loadBetweenRuns()).toBeLessThan(0.6); // 0.1; spinning, above 1
});

const transports = { 'in thread': true, worker: false } as const;

describe.each(Object.entries(transports))('%s', (_, inThread) => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await openRuntime({ device: 'cpu', inThread });
  });
  afterAll(() => runtime.close());

  test('outputs have names, dtypes, shapes and the device its name', async () => {
    const result = await runOnce(runtime, layerProgram, layerFeeds);
    expect(runtime.device).toBe('cpu');
    expect(result.host('probabilities')).toMatchObject({ dtype: 'f32', shape: [6, 5] });
    expect(result.host('best')).toMatchObject({ dtype: 'i64', shape: [6] });
    expect(result.host<TensorOf<'f32'>>('total').data[0]).toBeCloseTo(6, 5);
    expect(() => result.host('missing')).toThrow("there is no host output 'missing'");
    expect(() => result.kept('total')).toThrow("there is no kept output 'total'");
  });

  test('feeds are not changed, and can be fed again', async () => {
    const feeds = { x: f32([1, 2, 3, 4], [2, 2]) };
    for (let time = 0; time < 2; time++) {
      const { data } = (await runOnce(runtime, doubled, feeds)).host<TensorOf<'f32'>>('result');
      expect([...data]).toEqual([2, 4, 6, 8]);
    }
    expect([...feeds.x.data]).toEqual([1, 2, 3, 4]);
  });

  test('one program is compiled once for a binding', async () => {
    const again = makeProgram({ result: b.mul(b.input('x', ['rows', 2]), 2) });
    const first = await runtime.compile(doubled, allFed);
    expect(await runtime.compile(again, allFed)).toBe(first);
    expect(await runtime.compile(doubled, { source: () => 'fed' })).not.toBe(first);
  });

  test('an output may be an input, and two outputs one value', async () => {
    const value = b.input('x', ['rows', 2]);
    const program = makeProgram({ x: value, y: b.exp(value), z: b.exp(value) });
    const result = await runOnce(runtime, program, { x: f32([0, 1], [1, 2]) });
    expect([...result.host<TensorOf<'f32'>>('x').data]).toEqual([0, 1]);
    expect(result.host('y').data).toEqual(result.host('z').data);
  });

  describe('residents', () => {
    const held = async () => (await runtime.memory()).residents;

    test('come back as they went up, whatever happens to the original', async () => {
      const original = f32([1, 2, 3], [3]);
      const resident = await runtime.upload(original);
      original.data.fill(9);
      expect(await runtime.download(resident)).toEqual(f32([1, 2, 3], [3]));
      const labels = await runtime.upload(i64([4, -5], [2]));
      expect(await runtime.download(labels)).toEqual(i64([4, -5], [2]));
      runtime.release(resident, labels);
    });

    test('part of a larger buffer is uploaded alone', async () => {
      const whole = Float32Array.of(1, 2, 3, 4);
      const resident = await runtime.upload(f32(whole.subarray(1, 3), [2]));
      expect(await runtime.download(resident)).toEqual(f32([2, 3], [2]));
      expect([...whole]).toEqual([1, 2, 3, 4]);
      runtime.release(resident);
    });

    test('kept outputs feed the next run', async () => {
      const compiled = await runtime.compile(doubled, allFed);
      const once = (await runtime.run(compiled, { x: firstRows }, { keep: ['result'] })).kept('result');
      const twice = (await runtime.run(compiled, { x: once }, { keep: 'all' })).kept('result');
      expect((await runtime.download<TensorOf<'f32'>>(twice)).data).toEqual(Float32Array.of(4, 8, 12, 16, 20, 24));
      expect((await runtime.download<TensorOf<'f32'>>(once)).data).toEqual(Float32Array.of(2, 4, 6, 8, 10, 12));
      runtime.release(once, twice);
    });

    test('an output overwrites rows of a resident, in place of making one', async () => {
      const before = await held();
      const target = await runtime.upload(f32([0, 0, 9, 9, 0, 0], [3, 2]));
      const compiled = await runtime.compile(doubled, allFed);
      const view = residentRows(target, 2, 3);
      const result = await runtime.run(compiled, { x: f32([3, 4], [1, 2]) }, { into: { result: view } });
      expect((await runtime.download<TensorOf<'f32'>>(target)).data).toEqual(Float32Array.of(0, 0, 9, 9, 6, 8));
      expect(() => result.host('result')).toThrow("there is no host output 'result'");
      expect(() => result.kept('result')).toThrow("there is no kept output 'result'");
      const tooLarge = runtime.run(compiled, { x: firstRows }, { into: { result: view } });
      await expect(tooLarge).rejects.toThrow('result is f32 [3, 2], its target f32 [1, 2]');
      runtime.release(target);
      expect(await held()).toBe(before);
    });

    test('rows are a view that can be fed, viewed again and downloaded', async () => {
      const before = await held();
      const all = await runtime.upload(firstRows);
      const tail = residentRows(all, 1, 3);
      expect(tail.shape).toEqual([2, 2]);
      expect(await runtime.download(tail)).toEqual(f32([3, 4, 5, 6], [2, 2]));
      expect(await runtime.download(residentRows(tail, 1, 2))).toEqual(f32([5, 6], [1, 2]));
      const result = await runOnce(runtime, doubled, { x: tail });
      expect(result.host('result')).toEqual(f32([6, 8, 10, 12], [2, 2]));
      expect(await held()).toBe(before + 1);
      runtime.release(all);
    });

    test('are counted while they are held', async () => {
      const before = await runtime.memory();
      const residents = [await runtime.upload(f32([1, 2, 3], [3])), await runtime.upload(i64([1], [1]))];
      const kept = await runtime.run(await runtime.compile(doubled, allFed), { x: firstRows }, { keep: 'all' });
      const during = await runtime.memory();
      expect(during.residents - before.residents).toBe(3);
      expect(during.residentBytes - before.residentBytes).toBe(3 * 4 + 8 + 6 * 4);
      runtime.release(...residents, kept.kept('result'));
      expect(await runtime.memory()).toEqual(before);
    });

    test('a large buffer is used again after its release, and never while it is held', async () => {
      const count = 40_000;
      const program = makeProgram({ y: b.add(b.input('x', ['n']), 1) });
      const compiled = await runtime.compile(program, allFed);
      const run = async (value: number): Promise<Resident> => {
        const feeds = { x: f32(new Float32Array(count).fill(value), [count]) };
        return (await runtime.run(compiled, feeds, { keep: 'all' })).kept('y');
      };
      const first = await run(1);
      const second = await run(2);
      runtime.release(first);
      const third = await run(3);
      const fourth = await run(4);
      const ends = async (resident: Resident) => {
        const { data } = await runtime.download<TensorOf<'f32'>>(resident);
        return [data[0], data[count - 1]];
      };
      expect(await ends(second)).toEqual([3, 3]);
      expect(await ends(third)).toEqual([4, 4]);
      expect(await ends(fourth)).toEqual([5, 5]);
      runtime.release(second, third, fourth);
    });

    test('cannot be used after their release', async () => {
      const gone = await runtime.upload(firstRows);
      runtime.release(gone);
      await expect(runtime.download(gone)).rejects.toThrow(/resident tensor \d+ was released/);
      await expect(runOnce(runtime, doubled, { x: gone })).rejects.toThrow(/resident tensor \d+ was released/);
      await expect(runtime.download(residentRows(gone, 0, 1))).rejects.toThrow(/was released/);
    });

    test('a run that fails keeps nothing', async () => {
      const before = await runtime.memory();
      const table = makeProgram({ picked: b.gatherRows(b.input('t', [2, 2]), b.input('i', ['n'], 'i64')) });
      const feeds = { t: f32([1, 2, 3, 4], [2, 2]), i: i64([7], [1]) };
      await expect(runtime.run(await runtime.compile(table, allFed), feeds, { keep: 'all' })).rejects.toThrow(/bounds/);
      expect(await runtime.memory()).toEqual(before);
    });
  });

  describe('feeds that do not fit', () => {
    const cases: Record<string, [Feeds, RegExp]> = {
      'a missing input': [{}, /input 'x' was not fed/],
      'another rank': [{ x: f32([1, 2], [2]) }, /input 'x': expected shape \[rows, 2\], got \[2\]/],
      'another width': [{ x: f32([1, 2, 3], [1, 3]) }, /input 'x': expected shape \[rows, 2\], got \[1, 3\]/],
      'another dtype': [{ x: i64([1, 2], [1, 2]) }, /input 'x' must be f32, got i64/],
    };

    test.each(Object.entries(cases))('%s', async (_, [feeds, message]) => {
      await expect(runOnce(runtime, doubled, feeds)).rejects.toThrow(message);
    });

    test('a fed weight of another shape', async () => {
      const feeds = { ...layerFeeds, '@w': normal(2, [5, 8]) };
      await expect(runOnce(runtime, layerProgram, feeds)).rejects.toThrow(
        "input '@w': expected shape [8, 5], got [5, 8]",
      );
    });

    test('a fed weight that is missing', async () => {
      const { '@w': _, ...feeds } = layerFeeds;
      await expect(runOnce(runtime, layerProgram, feeds)).rejects.toThrow(/@w/);
    });

    test('one name with two sizes', async () => {
      const sum = makeProgram({ sum: b.add(b.input('p', ['n']), b.input('q', ['n'])) });
      const feeds = { p: f32([1, 2], [2]), q: f32([1, 2, 3], [3]) };
      await expect(runOnce(runtime, sum, feeds)).rejects.toThrow("input 'q': expected shape [n], got [3]");
    });

    test('a composite size that is not the product', async () => {
      const mask = b.reshape(b.input('mask', ['batch', 'tokens']), ['batch*tokens']);
      const program = makeProgram({ sum: b.add(mask, b.input('rows', ['batch*tokens'])) });
      const fits = { mask: f32([1, 2, 3, 4], [2, 2]), rows: f32([1, 1, 1, 1], [4]) };
      expect((await runOnce(runtime, program, fits)).host('sum')).toEqual(f32([2, 3, 4, 5], [4]));
      const feeds = { ...fits, rows: f32([1, 1, 1], [3]) };
      await expect(runOnce(runtime, program, feeds)).rejects.toThrow("input 'rows' must be [4], got [3]");
    });

    test('a named size that nothing tells', async () => {
      const program = makeProgram({ parts: b.reshape(b.input('x', ['batch*tokens']), ['batch', 'tokens']) });
      const compiled = await runtime.compile(program, allFed);
      const feeds = { x: f32([1, 2, 3, 4, 5, 6], [6]) };
      await expect(runtime.run(compiled, feeds)).rejects.toThrow(/dimension 'batch' .* has no value in this run/);
      const told = await runtime.run(compiled, feeds, { dims: { batch: 2, tokens: 3 } });
      expect(told.host('parts').shape).toEqual([2, 3]);
    });
  });
});

test('the same bytes behind a worker and in this thread', async () => {
  const results = await Promise.all(
    Object.values(transports).map(async (inThread) => {
      const runtime = await openRuntime({ device: 'cpu', inThread });
      onTestFinished(() => runtime.close());
      const result = await runOnce(runtime, layerProgram, layerFeeds);
      return [...layerProgram.outputs.keys()].map((name) => result.host(name));
    }),
  );
  expect(results[1]).toEqual(results[0]);
});

test.each(Object.entries(transports))(
  '%s: what waits for outputs to come is given back when told',
  async (_, inThread) => {
    const runtime = await openRuntime({ device: 'cpu', inThread });
    onTestFinished(() => runtime.close());
    const bytes = 200e6;
    const upTo = { x: f32(new Float32Array(bytes / 4), [bytes / 8, 2]) };
    const compiled = await runtime.compile(doubled, allFed);
    const given = await runtime.upload(upTo.x, { move: true });
    runtime.release((await runtime.run(compiled, { x: given }, { keep: 'all' })).kept('result'));
    await runtime.memory(); // the release has been heard
    const kept = process.memoryUsage.rss();
    await runtime.trim();
    expect(kept - process.memoryUsage.rss()).toBeGreaterThan(0.9 * bytes);
    expect((await runtime.memory()).residents).toBe(1);
  },
);

describe.each(Object.entries(transports))('a device that is not here, %s', (_, inThread) => {
  const expectUnsupported = async (device: Device) => {
    const opening = openRuntime({ device, inThread });
    await expect(opening).rejects.toThrow(MalmenError);
    const message = expect.stringContaining(`device '${device}' is not available here`);
    await expect(opening).rejects.toMatchObject({ code: 'unsupported', message });
  };

  test('unknown to the runtime', () => expectUnsupported('abacus' as Device));

  test.skipIf(cudaIsInstalled)('known, its libraries not installed', () => expectUnsupported('cuda'));
});

test('the event loop stays free while the worker computes', async () => {
  const runtime = await openRuntime({ device: 'cpu', inThread: false });
  onTestFinished(() => runtime.close());
  const side = 1536;
  const square = b.input('x', [side, side]);
  const compiled = await runtime.compile(
    makeProgram({ trace: b.reduceSum(b.gemm(b.gemm(square, square), b.gemm(square, square, { transposeA: true }))) }),
    allFed,
  );
  const feeds = { x: await runtime.upload(normal(1, [side, side])) };
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const start = performance.now();
  await runtime.run(compiled, feeds);
  const elapsedMs = performance.now() - start;
  clearInterval(timer);
  // Two busy cores leave the timer late, but a blocked loop would not tick at all.
  expect(ticks).toBeGreaterThan(Math.min(5, elapsedMs / 20));
});

test('calls are answered in order, and many may wait at once', async () => {
  const runtime = await openRuntime({ device: 'cpu', inThread: false });
  onTestFinished(() => runtime.close());
  const compiled = await runtime.compile(doubled, allFed);
  const runs = Array.from({ length: 20 }, (_, at) => runtime.run(compiled, { x: f32([at, 0], [1, 2]) }));
  const firsts = (await Promise.all(runs)).map((result) => result.host<TensorOf<'f32'>>('result').data[0]);
  expect(firsts).toEqual(Array.from({ length: 20 }, (_, at) => 2 * at));
});

describe('after close', () => {
  test('calls to a worker are refused, and closing again is nothing', async () => {
    const runtime = await openRuntime({ device: 'cpu', inThread: false });
    const resident = await runtime.upload(firstRows);
    const compiled = await runtime.compile(doubled, allFed);
    await runtime.close();
    await runtime.close();
    runtime.release(resident);
    const calls = [
      () => runtime.run(compiled, { x: firstRows }),
      () => runtime.upload(firstRows),
      () => runtime.download(resident),
      () => runtime.memory(),
      () => runtime.compile(layerProgram, allFed),
    ];
    for (const call of calls) await expect(call()).rejects.toThrow('the engine is closed');
  });

  test('runs and downloads in this thread are refused', async () => {
    const runtime = await openRuntime({ device: 'cpu', inThread: true });
    const resident = await runtime.upload(firstRows);
    const compiled = await runtime.compile(doubled, allFed);
    await runtime.close();
    await expect(runtime.run(compiled, { x: firstRows })).rejects.toThrow(/no session/);
    await expect(runtime.download(resident)).rejects.toThrow(/was released/);
  });
});
