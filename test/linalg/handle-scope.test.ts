import { expect, test } from 'vitest';
import { allSettled } from '../../src/linalg/handle-scope.js';

test('what fails is told only when the others have ended, too', async () => {
  let ended = false;
  const slow = new Promise<void>((resolve) => setTimeout(resolve, 20)).then(() => {
    ended = true;
  });
  await expect(allSettled(Promise.reject(new Error('the device failed')), slow)).rejects.toThrow('the device failed');
  expect(ended).toBe(true);
  expect(await allSettled(Promise.resolve(1), Promise.resolve('two'))).toEqual([1, 'two']);
});
