import { defineConfig } from 'vitest/config';

/** Two workers: the machines this runs on have two cores, and many tests start real servers. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    retry: 0,
    setupFiles: ['test/support/open-handles.ts'],
  },
});
