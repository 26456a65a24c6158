/** A compaction of an agent that takes records: they wait, and each counts once. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { waitFor } from '../../support/wait-for.ts';
import { desiredJob, openBatchSite } from '../batch/batch-site.ts';
import { desired } from '../streams/counting-job.ts';
import { openSite } from '../streams/site.ts';

const BEFORE = 4000;
const MORE = 4000;

it('records that come while the store is compacted count once', async () => {
  const site = await openBatchSite({ budgets: { journalBytesMax: 1_000_000 } });
  const compact = desiredJob('care', 'tasks: [{ id: t, compact: { freeMin: 0B } }]');
  await site.runtime.applyJobs([desired('a'), compact]);
  const pad = 'x'.repeat(1500);
  const give = (count: number): void => {
    site.source().give(...Array.from({ length: count }, () => ({ payload: { v: 1, pad } })));
  };
  give(BEFORE);
  await site.settled();
  const file = join(site.dataDir, 'store', 'data.mdb');
  const bytesBefore = statSync(file).size;

  const { runs } = await site.command({
    action: 'run',
    job: 'care',
    partition: null,
    parameters: {},
    fullRefresh: false,
  });
  let given = 0;
  await waitFor('the compaction to end', async () => {
    if (given < MORE) give(100);
    given += given < MORE ? 100 : 0;
    return (await site.runs()).some(({ run, endedAt }) => run === runs[0]!.run && endedAt !== null);
  });
  await site.settled();
  expect(await site.ended(runs[0]!.run)).toMatchObject({ error: null, state: 'success' });
  expect(statSync(file).size).toBeLessThan(bytesBefore);

  const total = BEFORE + given;
  const sums = async (): Promise<number[]> =>
    (await site.rows()).flatMap(({ job, value }) =>
      job === 'a' ? [(value as { sum: number }).sum] : [],
    );
  expect(await sums()).toEqual(Array.from({ length: total }, (_, at) => at + 1));
  await site.close();

  const again = await openSite({
    dataDir: site.dataDir,
    prepare: (source) => {
      for (let n = 0; n <= total; n += 1) source.give({ payload: { v: 1 } });
    },
  });
  await again.runtime.applyJobs([desired('a')]);
  await again.settled();
  const rows = await again.take();
  expect(rows.map(({ value }) => value)).toMatchObject([{ sum: total + 1 }]);
}, 60_000);
