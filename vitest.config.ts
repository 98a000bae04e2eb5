import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/temporary-root.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores: the runtime itself uses both, so test files run one after another per worker.
    maxWorkers: 2,
    pool: 'forks',
  },
});
