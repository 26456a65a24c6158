import { defineConfig } from 'vitest/config';

/** The long runs (many seeds, many kills): one at a time, without the deadline of a unit test. */
export default defineConfig({
  test: {
    include: ['test/**/*.soak.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 20 * 60_000,
    hookTimeout: 60_000,
    retry: 0,
    setupFiles: ['test/support/open-handles.ts'],
  },
});
