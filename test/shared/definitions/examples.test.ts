/** Every example job has tests beside it, and they pass on the device's own code. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runTests } from '../../agent/cli/batch-world.ts';

const FOLDER = join(import.meta.dirname, '../../../deploy/examples');
const jobs = readdirSync(FOLDER).filter((file) => /(?<!\.test)\.yaml$/.test(file));

test.each(jobs)('%s does what its tests say', async (file) => {
  expect(existsSync(join(FOLDER, file.replace(/\.yaml$/, '.test.yaml')))).toBe(true);
  const { code, out, err } = await runTests(join(FOLDER, file));
  expect(code, out + err).toBe(0);
});
