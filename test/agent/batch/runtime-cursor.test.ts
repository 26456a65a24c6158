/** Incremental extracts through the runtime: whose cursor is whose. */
import { describe, expect, it } from 'vitest';
import type { TaskReport } from '@runnel/shared/protocol/runs.ts';
import { httpServer } from '../../support/http-server.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;

const PLACES: Readonly<Record<string, readonly { t: number }[]>> = {
  lyon: [{ t: 1 }, { t: 100 }],
  turin: [{ t: 2 }, { t: 3 }],
};

/** Answers for `/<place>` with its rows; `seen` is what was asked of `since`, by place. */
async function plants(): Promise<{ url: string; seen: (place: string) => (string | null)[] }> {
  const server = await httpServer(({ url }) => {
    return { body: PLACES[url.pathname.slice(1)] ?? [] };
  });
  return {
    url: server.url,
    seen: (place) =>
      server.asked
        .filter(({ url }) => url.pathname === `/${place}`)
        .map(({ url }) => url.searchParams.get('since')),
  };
}

function extract(url: string): string {
  const cursor = '{ value: row.t, skipSeen: true, param: since }';
  return `extract: { http: { url: "${url}" }, cursor: ${cursor} }`;
}

/** Rows that the runs of one command extracted, by the key of the run and the task's index. */
async function rowsOf(site: BatchSite, job: string, more = {}): Promise<unknown[]> {
  const { runs } = await site.command({ ...ASK, job, ...more });
  for (const { run } of runs) expect(await site.ended(run)).toMatchObject({ state: 'success' });
  const asked = new Set(runs.map(({ run }) => run));
  return (await site.rows()).flatMap(({ kind, key, value }) => {
    const { run, task, index, output } = value as TaskReport;
    if (kind !== 'task' || task !== 'x' || !asked.has(run)) return [];
    const rowCount = (output as { rowCount?: number } | null)?.rowCount;
    return rowCount === undefined ? [] : [[key ?? index, rowCount]];
  });
}

const byKey = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);

describe('the cursor of an incremental task', () => {
  it('is one for each key of the partition: no key loses rows to another', async () => {
    const { url, seen } = await plants();
    const site = await openBatchSite();
    const yaml = `
maxActiveRuns: 1
partition: { keys: [lyon, turin] }
tasks: [{ id: x, ${extract(`${url}/{{ partition.key }}`)} }]`;
    await site.runtime.applyJobs([desiredJob('k', yaml)]);
    expect((await rowsOf(site, 'k')).toSorted(byKey)).toEqual([
      ['lyon', 2],
      ['turin', 2],
    ]);
    expect((await rowsOf(site, 'k')).toSorted(byKey)).toEqual([
      ['lyon', 0],
      ['turin', 0],
    ]);
    expect(seen('turin')).toEqual([null, '3']);
  });

  it('is one for each item of forEach, wherever the item stands in its list', async () => {
    const { url, seen } = await plants();
    const site = await openBatchSite();
    const yaml = (list: string): string =>
      `tasks: [{ id: x, forEach: ${list}, parallel: 1, ${extract(`${url}/{{ item }}`)} }]`;
    await site.runtime.applyJobs([desiredJob('m', yaml('[lyon, turin]'))]);
    expect(await rowsOf(site, 'm')).toEqual([
      [0, 2],
      [1, 2],
    ]);
    const moved = desiredJob('m', yaml('[paris, turin, lyon]'), { version: 2 });
    await site.runtime.applyJobs([moved]);
    expect(await rowsOf(site, 'm')).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
    ]);
    expect(seen('lyon')).toEqual([null, '100']);
    expect(seen('turin')).toEqual([null, '3']);
    expect(seen('paris')).toEqual([null]);
  });

  it('is neither used nor moved by a backfill, which reads from the start', async () => {
    const { url, seen } = await plants();
    const site = await openBatchSite();
    const yaml = (place: string): string =>
      `partition: { every: 1d }\ntasks: [{ id: x, ${extract(`${url}/${place}`)} }]`;
    await site.runtime.applyJobs([desiredJob('b', yaml('turin'))]);
    await rowsOf(site, 'b', { partition: '2026-11-20' });
    await site.runtime.applyJobs([desiredJob('b', yaml('lyon'), { version: 2 })]);
    const [from, to] = [Date.UTC(2026, 10, 10), Date.UTC(2026, 10, 12)];
    const { runs } = await site.command({
      ...{ action: 'backfill', job: 'b', from, to, which: 'all', order: 'oldest' },
      ...{ maxActive: 1, parameters: {}, dryRun: false },
    } as never);
    expect(runs).toHaveLength(1);
    await waitFor('both partitions of the backfill', async () => {
      const done = (await site.runs()).filter(({ state }) => state === 'success');
      return ['b/2026-11-10', 'b/2026-11-11'].every((key) => done.some((run) => run.key === key));
    });
    expect(seen('lyon')).toEqual([null, null]);
    await site.runtime.applyJobs([desiredJob('b', yaml('turin'), { version: 3 })]);
    await rowsOf(site, 'b', { partition: '2026-11-21' });
    expect(seen('turin')).toEqual([null, '3']);
  });

  it('goes with its job', async () => {
    const { url, seen } = await plants();
    const site = await openBatchSite();
    const job = desiredJob(
      'm',
      `tasks: [{ id: x, forEach: [lyon], ${extract(`${url}/{{ item }}`)} }]`,
    );
    await site.runtime.applyJobs([job]);
    await rowsOf(site, 'm');
    await site.runtime.applyJobs([]);
    await site.runtime.applyJobs([job]);
    expect(await rowsOf(site, 'm')).toEqual([[0, 2]]);
    expect(seen('lyon')).toEqual([null, null]);
  });
});
