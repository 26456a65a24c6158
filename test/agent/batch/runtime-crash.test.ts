/**
 *   setup ─▶ rows (table, dataset, results, cursor) ─▶ each (forEach) ─▶ end
 *                                                 └─▶ job `reader` by the dataset
 */
import { describe, expect, it } from 'vitest';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { RunReport, TaskReport } from '@runnel/shared/protocol/runs.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { defineTaskRunner, type TaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type BatchSite, desiredJob, openBatchSite } from './batch-site.ts';
import { fullEvery, stopsAfter } from './stopped-store.ts';

const PIPELINE = desiredJob(
  'pipeline',
  `
tasks:
  - { id: setup, value: { value: [1, 2, 3] } }
  - { id: rows, needs: [setup], command: { run: [/bin/rows] } }
  - id: each
    needs: [rows]
    forEach: "tasks.setup.output"
    command: { run: ["/bin/each", "{{ item }}"] }
  - { id: end, needs: [each], value: { value: "{{ tasks.each.output }}" } }
`,
);
const READER = desiredJob(
  'reader',
  `
schedule: { dataset: daily }
tasks:
  - { id: read, value: { value: "{{ run.trigger }}" } }
`,
);

/** What reached the world outside: by the key that receivers deduplicate with. */
class Outside {
  readonly effects = new Map<string, number>();

  readonly runners: readonly TaskRunner[] = [
    ...taskRunners.filter(({ kind }) => kind !== 'command'),
    defineTaskRunner<{ run: readonly string[] }>({
      kind: 'command',
      run: async ({ run: [program, argument] }, context) => {
        const { effectKey, services } = context;
        this.effects.set(effectKey, (this.effects.get(effectKey) ?? 0) + 1);
        if (program === '/bin/each') return { output: `did ${argument}` };
        const table = await services.tables.write(context, [
          { m: 'a', n: 1 },
          { m: 'b', n: 2 },
        ]);
        return {
          output: { cursor: context.cursor },
          table,
          cursor: 7,
          datasets: [{ dataset: 'daily', table, deliver: true }],
          results: [{ dataset: 'sums', key: 'a', time: 5, value: { n: 3 } }],
          deadRows: [{ reason: 'bad', message: 'is bad', value: 9 }],
        };
      },
    }),
  ];
}

interface Outcome {
  /** State and output of each instance, by job. */
  readonly tasks: readonly string[];
  readonly results: readonly string[];
  readonly runs: readonly string[];
  readonly effects: number;
  readonly deadLetters: number;
  /** As the job reports them. */
  readonly counted: unknown;
}

async function open(
  dataDir: string,
  outside: Outside,
  wrapStore?: (store: CheckpointStore) => CheckpointStore,
): Promise<BatchSite> {
  return openBatchSite({
    dataDir,
    settings: { runners: outside.runners },
    ...(wrapStore !== undefined && { wrapStore }),
  });
}

const ASK = { action: 'run', job: 'pipeline', partition: null, parameters: {} } as const;

/** Both runs have ended as they should; then everything that left. */
async function outcome(site: BatchSite, outside: Outside): Promise<Outcome> {
  let rows: readonly Row[] = [];
  await waitFor('both runs to end', async () => {
    rows = await site.rows();
    const ended = rows.filter(
      ({ kind, value }) => kind === 'run' && (value as RunReport).state === 'success',
    );
    return new Set(ended.map(({ job }) => job)).size === 2;
  });
  const last = new Map<string, string>();
  for (const { kind, job, value } of rows) {
    if (kind !== 'task') continue;
    const { task, index, state, output } = value as TaskReport;
    last.set(
      `${job} ${task} ${index}`,
      `${job} ${task} ${index} ${state} ${JSON.stringify(output)}`,
    );
  }
  const results = rows.filter(({ kind }) => kind === 'result');
  return {
    tasks: [...last.values()].toSorted(),
    results: results.map(
      ({ dataset, value, revision }) => `${dataset} ${JSON.stringify(value)} ${revision}`,
    ),
    runs: [...new Set(rows.filter(({ kind }) => kind === 'run').map(({ job }) => job))],
    effects: outside.effects.size,
    deadLetters: site.runtime.deadLetters.rows,
    counted: site.runtime.jobReports().map(({ deadLettersBy }) => deadLettersBy),
  };
}

async function undisturbed(): Promise<Outcome> {
  const outside = new Outside();
  const site = await open(tempDir('batch-whole'), outside);
  await site.runtime.applyJobs([PIPELINE, READER]);
  await site.command({ ...ASK, fullRefresh: false }, 'ask');
  return outcome(site, outside);
}

describe('a run whose agent is gone', () => {
  it('ends as the undisturbed one, whichever commit was the last', async () => {
    const expected = await undisturbed();
    expect(expected.results).toEqual([
      'daily {"m":"a","n":1} 1',
      'daily {"m":"b","n":2} 1',
      'sums {"n":3} 1',
    ]);
    expect(expected).toMatchObject({ effects: 4, deadLetters: 1, runs: ['pipeline', 'reader'] });
    expect(expected.counted).toEqual([{ 'rows: bad': 1 }, {}]);
    for (let commits = 1; ; commits++) {
      const dataDir = tempDir('batch-cut');
      const outside = new Outside();
      const counted = { done: 0 };
      const first = await open(dataDir, outside, stopsAfter(commits, counted));
      // Neither the jobs nor the command may have come so far: both are asked for again.
      first.runtime
        .applyJobs([PIPELINE, READER])
        .then(
          () => first.command({ ...ASK, fullRefresh: false }, 'ask'),
          () => undefined,
        )
        .catch(() => undefined);
      const hasStopped = (): boolean =>
        first.conditions.list().some(({ type }) => type === 'storage');
      const hasEnded = (): boolean =>
        first.runtime
          .jobReports()
          .some(({ name, batch }) => name === 'reader' && batch?.ended.success === 1);
      await waitFor('the device to be gone', () => hasStopped() || hasEnded());
      const isWhole = !hasStopped();
      await first.close();
      const second = await open(dataDir, outside);
      await second.runtime.applyJobs([PIPELINE, READER]);
      await second.command({ ...ASK, fullRefresh: false }, 'ask');
      expect(await outcome(second, outside), `cut after commit ${commits}`).toEqual(expected);
      await second.close();
      if (isWhole) break;
    }
  }, 120_000);
});

describe('a store that is full now and then', () => {
  // Room is made by two commits after one that found none: every third would never get through.
  it.each([2, 4, 5])(
    'loses and repeats nothing, every %d. commit',
    async (nth) => {
      const expected = await undisturbed();
      const outside = new Outside();
      const disk = { hasRoom: true };
      const site = await open(tempDir('batch-full'), outside, fullEvery(nth, disk));
      await site.runtime.applyJobs([PIPELINE, READER]);
      disk.hasRoom = false;
      await site.command({ ...ASK, fullRefresh: false }, 'ask');
      await waitFor('both jobs to have run', () =>
        site.runtime.jobReports().every(({ batch }) => batch?.ended.success === 1),
      );
      expect(site.runtime.counters().commit_failures).toBeGreaterThan(0);
      disk.hasRoom = true;
      expect(await outcome(site, outside)).toEqual(expected);
      // What failed was committed again, not done again.
      expect([...outside.effects.values()]).toEqual([1, 1, 1, 1]);
    },
    60_000,
  );
});

describe('a run that is made again', () => {
  it('delivers and triggers nothing when it made the same, and keeps its cursor', async () => {
    const outside = new Outside();
    const site = await open(tempDir('batch-same'), outside);
    await site.runtime.applyJobs([PIPELINE, READER]);
    const { runs } = await site.command({ ...ASK, fullRefresh: false }, 'ask');
    const first = await outcome(site, outside);
    await site.command({ action: 'rerun', run: runs[0]!.run, from: 'rows', fullRefresh: false });
    await waitFor('the second try to end', async () => {
      const newest = (await site.runs()).find(({ run }) => run === runs[0]!.run);
      return newest?.tries === 2 && newest.state === 'success';
    });
    const second = await outcome(site, outside);
    expect(second.results).toEqual(first.results);
    expect(second.tasks).toContain('pipeline rows null success {"cursor":7}');
    expect(await site.runs()).toHaveLength(2);
    expect(outside.effects.size).toBe(4);
  });
});
