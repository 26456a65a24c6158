/** Writes that cannot be made: memory is never ahead of the disk, and no run is left standing. */
import { expect, it } from 'vitest';
import { BatchStore, type BatchTx } from '@runnel/agent/batch/runs/batch-store.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;
const JOB = desiredJob(
  'j',
  `tasks:
  - { id: a, value: { value: 1 }, retry: { attempts: 1 } }
  - { id: b, needs: a, value: { value: 2 } }`,
);

/** Commits of the batch engine in which `isHit` says so throw after all else was written. */
function planted(isHit: (keys: string[], rows: string[]) => boolean) {
  const commit = Reflect.get(BatchStore.prototype, 'commit');
  BatchStore.prototype.commit = function planting(this: BatchStore, write, joins) {
    const gathered = (tx: BatchTx): void => {
      const keys: string[] = [];
      const rows: string[] = [];
      write({
        put(key, value) {
          keys.push(`${key.join('/')} ${(value as { state?: string } | null)?.state ?? ''}`);
          tx.put(key, value);
        },
        remove: (key) => tx.remove(key),
        row(origin, text) {
          rows.push(text);
          tx.row(origin, text);
        },
        deadLetter: (job, version, letter) => tx.deadLetter(job, version, letter),
        undo: (back) => tx.undo(back),
      });
      if (isHit(keys, rows)) throw new Error('planted');
    };
    return commit.call(this, gathered, joins);
  };
  return () => {
    BatchStore.prototype.commit = commit;
  };
}

async function ranWith(throws: number, what: RegExp) {
  let left = throws;
  const undo = planted((keys) => keys.some((key) => what.test(key)) && left-- > 0);
  try {
    const site = await openBatchSite();
    await site.runtime.applyJobs([JOB]);
    const { runs } = await site.command({ ...ASK, job: 'j' });
    const report = await site.ended(runs[0]!.run);
    return { site, report, counters: site.runtime.counters(), left };
  } finally {
    undo();
  }
}

it.each([
  ['the start of a run', /^run\/.* running$/],
  ['the start of an attempt', /^task\/.*\/a\/-1 running$/],
  ['the start of a later attempt', /^task\/.*\/b\/-1 running$/],
  ['the end of a run', /^run\/.* success$/],
])('%s that cannot be written once is made again from what is stored', async (_, what) => {
  const { report, counters, left } = await ranWith(1, what);
  expect(left).toBeLessThanOrEqual(0);
  expect(report.state === 'success' || report.error?.message.includes('planted')).toBe(true);
  expect(counters).toMatchObject({ batch_runs_running: 0, batch_runs_queued: 0 });
});

it('a run of which a change can never be written ends as failed and says why', async () => {
  const { site, report } = await ranWith(Infinity, /^task\/.*\/a\/-1 running$/);
  expect(report).toMatchObject({ state: 'failed', error: { code: 'run_write_failed' } });
  expect(site.runtime.counters()).toMatchObject({ batch_runs_running: 0 });
});

it('of a run that could not be made nothing is left, and the next one is made', async () => {
  let left = 1;
  const undo = planted((keys) => keys.some((key) => key.startsWith('run/')) && left-- > 0);
  try {
    const site = await openBatchSite();
    await site.runtime.applyJobs([JOB]);
    await expect(site.command({ ...ASK, job: 'j' })).rejects.toThrow('planted');
    expect(site.runtime.counters()).toMatchObject({ batch_runs_queued: 0 });
    const { runs } = await site.command({ ...ASK, job: 'j' });
    expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'success' });
    expect(await site.runs()).toHaveLength(1);
  } finally {
    undo();
  }
});

it('a record that the store does not give is no verdict on a job: it is asked again', async () => {
  const get = Reflect.get(BatchStore.prototype, 'get');
  let left = 1;
  BatchStore.prototype.get = function failing<T>(this: BatchStore, key: Parameters<typeof get>[0]) {
    if (key[0] === 'version' && left-- > 0) throw new Error('the disk gave an error');
    return get.call(this, key) as T | undefined;
  };
  try {
    const site = await openBatchSite();
    await site.runtime.applyJobs([JOB]);
    const { runs } = await site.command({ ...ASK, job: 'j' });
    expect(await site.ended(runs[0]!.run)).toMatchObject({ state: 'success', error: null });
    expect(left).toBeLessThanOrEqual(0);
  } finally {
    BatchStore.prototype.get = get;
  }
});
