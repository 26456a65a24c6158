/** Every example job has tests beside it, and they pass on the device's own engine. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { testCommand } from '@runnel/agent/cli/test.ts';

const FOLDER = join(import.meta.dirname, '../../../deploy/examples');
const jobs = readdirSync(FOLDER).filter((file) => /(?<!\.test)\.yaml$/.test(file));

test.each(jobs)('%s does what its tests say', async (file) => {
  expect(existsSync(join(FOLDER, file.replace(/\.yaml$/, '.test.yaml')))).toBe(true);
  let text = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  const code = await testCommand({ job: join(FOLDER, file) }, { stdout: sink, stderr: sink });
  expect(code, text).toBe(0);
});
