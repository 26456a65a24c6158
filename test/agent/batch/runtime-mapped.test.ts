/**
 *   list ─▶ each (forEach, a table per item) ─▶ all (reads the rows of every instance)
 */
import { describe, expect, it } from 'vitest';
import type { TaskReport } from '@runnel/shared/protocol/runs.ts';
import { childEntry } from '../../support/child-entry.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';

const ASK = { action: 'run', partition: null, parameters: {}, fullRefresh: false } as const;

async function outputs(site: BatchSite, yaml: string): Promise<ReadonlyMap<string, unknown>> {
  await site.runtime.applyJobs([desiredJob('mapped', yaml)]);
  const [{ run } = { run: '' }] = (await site.command({ ...ASK, job: 'mapped' })).runs;
  expect(await site.ended(run)).toMatchObject({ state: 'success', error: null });
  const reports = (await site.rows()).flatMap(({ kind, value }) =>
    kind === 'task' ? [value as TaskReport] : [],
  );
  return new Map(reports.map(({ task, index, output }) => [`${task}/${index ?? ''}`, output]));
}

describe('the rows of a task with forEach', () => {
  it('are those of all its instances in the order of the list, for all behind it', async () => {
    const site = await openBatchSite({ settings: { childEntry: childEntry() } });
    const of = await outputs(
      site,
      `
tasks:
  - { id: list, value: { value: [3, 1, 0, 2] } }
  - id: each
    needs: [list]
    forEach: "tasks.list.output"
    sql: { query: "SELECT {{ item }} AS item, i AS n FROM range({{ item }}) t(i)" }
  - id: all
    needs: [each]
    sql: { query: "SELECT item, n FROM each" }
  - id: moved
    needs: [each]
    transform:
      input: each
      time: "0"
      order: input
      steps: [{ map: { derive: { twice: "payload.item * 2" } } }]
  - id: checked
    needs: [each]
    quality: { input: each, checks: [{ rowCount: { min: 6, max: 6 } }, { unique: [item, n] }] }
  - { id: shared, needs: [checked], publish: { from: checked, dataset: rows, deliver: true } }
  - { id: read, needs: [shared], sql: { query: "SELECT count(*) AS n FROM dataset('rows')" } }
`,
    );
    const rows = [
      { item: 3, n: 0 },
      { item: 3, n: 1 },
      { item: 3, n: 2 },
      { item: 1, n: 0 },
      { item: 2, n: 0 },
      { item: 2, n: 1 },
    ];
    expect(of.get('all/')).toMatchObject({ rowCount: 6, rows });
    expect(of.get('moved/')).toMatchObject({
      rows: rows.map(({ item }) => ({ twice: item * 2 })),
    });
    expect(of.get('checked/')).toMatchObject({ passed: true, rowCount: 6 });
    expect(of.get('read/')).toMatchObject({ rows: [{ n: 6 }] });
    const delivered = (await site.rows()).filter(({ kind }) => kind === 'result');
    expect(delivered.map(({ value }) => value)).toEqual(rows);
  }, 60_000);

  it('leave out the instances that failed', async () => {
    const site = await openBatchSite({ settings: { childEntry: childEntry() } });
    const of = await outputs(
      site,
      `
tasks:
  - id: each
    forEach: [1, 2, 3]
    retry: { attempts: 1 }
    sql: { query: "SELECT CASE WHEN {{ item }} = 2 THEN error('two') ELSE {{ item }} END AS item" }
  - { id: all, needs: [each], trigger: all_done, sql: { query: "SELECT item FROM each" } }
`,
    );
    expect(of.get('all/')).toMatchObject({ rows: [{ item: 1 }, { item: 3 }] });
  }, 60_000);
});
