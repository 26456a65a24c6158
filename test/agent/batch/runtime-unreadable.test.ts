/** A stored job that this release cannot read, as another release may leave one. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { openCheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '@runnel/agent/checkpoints/store-layout.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

it('a stored job nobody can read says why, until the desired version takes its place', async () => {
  const dataDir = tempDir('unreadable');
  const job = desiredJob('j', 'tasks: [{ id: a, value: { value: 1 } }]');
  const first = await openBatchSite({ dataDir });
  await first.runtime.applyJobs([job]);
  await first.close();
  const store = openCheckpointStore({
    dir: join(dataDir, 'store'),
    bytesMax: 1 << 30,
    monotonicMs: () => systemClock.monotonicMs(),
  });
  const key = ['version', 'j', 1];
  const bytes = store.get('batch', key)!;
  const stored = decodeVersioned<{ document: object }>('it', bytes[0]!, bytes);
  const document = { ...stored.document, energy: { budget: '3Wh' } };
  await store.commit((tx) =>
    tx.put('batch', key, encodeVersioned(bytes[0]!, { ...stored, document })),
  );
  await store.close();

  const second = await openBatchSite({ dataDir });
  // A version that is refused leaves what was there.
  await second.runtime.applyJobs([desiredJob('j', 'tasks: [{ id: A }]', { version: 2 })]);
  const ask = { action: 'run', job: 'j', partition: null, parameters: {}, fullRefresh: false };
  await expect(second.command(ask as never)).rejects.toThrow(
    /cannot read the job j: .*unknown key "energy"/,
  );
  expect(second.runtime.jobReports()).toMatchObject([
    { phase: 'failed', attempted: { reason: expect.stringContaining('energy') as string } },
  ]);
  await second.runtime.applyJobs([job]);
  expect(second.runtime.jobReports()).toMatchObject([{ phase: 'running', attempted: null }]);
});
