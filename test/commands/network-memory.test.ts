// What rows take on their way through the hyper-networks, by hand.

import { expect, test } from 'vitest';
import { networkPassBytes } from '../../src/commands/network-memory.js';
import type { LayerGroup } from '../../src/engine/layer-group.js';

const group = (keySize: number, valueSize: number): LayerGroup => {
  const layer = { name: `${keySize}`, keySize, valueSize, orientation: 'in-out' } as const;
  return { keySize, valueSize, layers: [layer] };
};
const [one, other] = [group(96, 32), group(40, 24)];
const size = { rank: 8, blocks: 1 };
/** Bytes of a matrix of a row of keys and gradients each. */
const wide = (rows: number) => 4 * rows * (96 + 32);

test('captured rows, and a few matrices of their size while they go through', () => {
  const bytes = networkPassBytes([one], [500], size, 1000);
  // At least: captured; normalised; wide; scaled.
  expect(bytes).toBeGreaterThan(4 * wide(500));
  expect(bytes).toBeLessThan(8 * wide(500));
  expect(networkPassBytes([one], [1000], size, 1000)).toBe(2 * bytes);
});

test('no more go through at once than may; what comes out is there for all of them', () => {
  const whole = networkPassBytes([one], [4000], size, 4000);
  const pieces = networkPassBytes([one], [4000], size, 1000);
  expect(pieces).toBeLessThan(whole);
  const passing = networkPassBytes([one], [1000], size, 1000) - wide(1000);
  expect(pieces).toBe(wide(4000) + passing + 4 * 4000 * 32);
});

test('the largest pass counts, and rows of every group', () => {
  const [first, second] = [networkPassBytes([one], [300], size, 1000), networkPassBytes([other], [50], size, 1000)];
  expect(second).toBeLessThan(first);
  expect(networkPassBytes([one, other], [300, 50], size, 1000)).toBe(first + 4 * 50 * 64);
});

test('MEND keeps pseudo keys beside changes', () => {
  const mend = networkPassBytes([one], [4000], { ...size, editor: 'mend' }, 1000);
  expect(mend - networkPassBytes([one], [4000], size, 1000)).toBeGreaterThan(4 * 4000 * 32);
});
