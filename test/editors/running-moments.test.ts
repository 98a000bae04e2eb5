// Running moments that were saved and read back are the same to the last bit: a resumed training ends like one that never stopped.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RunningMoments } from '../../src/editors/running-moments.js';

test('moments taken up again are those that were given, and go on like them', () => {
  const number = fc.double({ min: -1e3, max: 1e3, noNaN: true });
  const batch = fc.record({
    count: fc.integer({ min: 1, max: 1000 }),
    mean: fc.array(number, { minLength: 3, maxLength: 3 }),
    squares: fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 3, maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(batch, { minLength: 1, maxLength: 4 }), batch, (before, after) => {
      const unbroken = new RunningMoments(3);
      for (const one of before) unbroken.merge(one);
      const resumed = RunningMoments.from(unbroken);
      expect(resumed).toEqual(unbroken);
      for (const moments of [unbroken, resumed]) moments.merge(after);
      expect(resumed.mean).toEqual(unbroken.mean);
      expect(resumed.squares).toEqual(unbroken.squares);
      expect(resumed.count).toBe(unbroken.count);
    }),
  );
});
