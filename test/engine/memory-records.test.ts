import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryRecords } from '../../src/engine/memory-records.js';

const writes = fc.array(
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 5 })),
);

describe('records in memory', () => {
  it('keep the first of each key that there is room for, and no more than the limit', async () => {
    await fc.assert(
      fc.asyncProperty(writes, fc.integer({ min: 0, max: 12 }), async (all, limit) => {
        const records = new MemoryRecords(4 * limit);
        const expected = new Map<string, readonly number[]>();
        let left = limit;
        for (const write of all) {
          const entries = Object.entries(write);
          await records.write(new Map(entries.map(([key, numbers]) => [key, Float32Array.from(numbers)])));
          for (const [key, numbers] of entries) {
            if (expected.has(key) || numbers.length > left) continue;
            expected.set(key, numbers);
            left -= numbers.length;
          }
        }
        for (const key of 'abcd') {
          expect(records.has(key)).toBe(expected.has(key));
          const found = await records.read(key);
          expect(found && [...found]).toEqual(expected.get(key));
        }
        expect(records.bytes).toBe(4 * (limit - left));
      }),
    );
  });

  it('are copies, and are gone when cleared', async () => {
    const records = new MemoryRecords(100);
    const given = Float32Array.of(1, 2);
    await records.write(new Map([['a', given]]));
    given[0] = 7;
    (await records.read('a'))![1] = 7;
    expect([...(await records.read('a'))!]).toEqual([1, 2]);
    records.clear();
    expect(await records.read('a')).toBeUndefined();
    expect(records.bytes).toBe(0);
  });
});
