// From what each layer's shift has to teach to gradients of the hyper-network that its rows went through. Knows no method.

import type { CapturedRows } from '../engine/editable-model.js';
import { layerRows } from '../engine/layer-group.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import type { Resident, Runtime } from '../engine/runtime.js';
import { f32 } from '../tensor.js';
import type { MetaMethod, ShiftLesson } from './meta-method.js';
import type { NetworkResidents, ResidentNetwork } from './resident-network.js';

interface Learner {
  readonly runtime: Runtime;
  readonly method: MetaMethod;
  readonly network: ResidentNetwork;
}

/**
 * Gradients of all parameters, `lamda.weight` among them where the method has a lambda.
 * @param chunks rows that the shifts were made of
 * @param lessons of each layer of the network's shape; released here
 */
export async function learnFrom(
  learner: Learner,
  chunks: readonly CapturedRows[],
  lessons: readonly ShiftLesson[],
): Promise<NetworkResidents> {
  let sums: NetworkResidents | undefined;
  let firstRows = lessons.map(() => 0);
  for (const captured of chunks) {
    const { feeds, release } = await lessonFeeds(learner, captured, lessons, firstRows);
    sums = await learner.network.gradient(captured, feeds, sums);
    release();
    firstRows = firstRows.map((row, at) => row + captured.counts[at]!);
  }
  const withLambda = new Map(sums);
  if (learner.method.hasLambda) withLambda.set('lamda.weight', await logLambdaGradient(learner, lessons));
  for (const lesson of lessons) lesson.release();
  return withLambda;
}

/** The feeds of one chunk: one stacked matrix of rows, or one matrix per layer. */
async function lessonFeeds(
  { runtime, method }: Learner,
  captured: CapturedRows,
  lessons: readonly ShiftLesson[],
  firstRows: readonly number[],
) {
  const parts: { readonly tensor: Resident; readonly owned: boolean }[] = [];
  for (const [at, lesson] of lessons.entries()) {
    parts.push(await lesson.feed(layerRows(captured.keys, captured.counts, at), firstRows[at]!));
  }
  const tensors = parts.map(({ tensor }) => tensor);
  const owned = parts.filter((part) => part.owned).map(({ tensor }) => tensor);
  if (method.lessonInput.per === 'layer' || tensors.length === 1) {
    return { feeds: tensors, release: () => runtime.release(...owned) };
  }
  const stacked = await residentMatrices(runtime).stackRows(tensors);
  runtime.release(...owned);
  return { feeds: [stacked], release: () => runtime.release(stacked) };
}

/** d/d(log lambda) = lambda d/d(lambda), [layers, 1] */
async function logLambdaGradient({ runtime, network }: Learner, lessons: readonly ShiftLesson[]): Promise<Resident> {
  const lambdas = await network.lambdas();
  const gradients = lessons.map(({ lambdaGradient }, at) => lambdaGradient * lambdas[at]!);
  return runtime.upload(f32(gradients, [lessons.length, 1]));
}
