/** The pure parts of the pages of runs: grid, list, line of time, what can be done. */
import { describe, expect, test } from 'vitest';
import { attentionOf } from '@runnel/control-plane/dashboard/fleet/attention.ts';
import { parseRoute, paths } from '@runnel/control-plane/dashboard/router.ts';
import {
  appendLog,
  emptyLog,
  LOG_LINES_MAX,
} from '@runnel/control-plane/dashboard/runs/log-lines.ts';
import { actionsOf, actionText } from '@runnel/control-plane/dashboard/runs/run-actions.ts';
import { gridOf, instanceWords } from '@runnel/control-plane/dashboard/runs/run-grid.ts';
import {
  appendRuns,
  mergeRuns,
  noRunFilter,
  readRunFilter,
  writeRunFilter,
} from '@runnel/control-plane/dashboard/runs/run-list.ts';
import {
  lookOfRun,
  RUN_STATES,
  runLook,
  taskLook,
} from '@runnel/control-plane/dashboard/runs/run-look.ts';
import { behind, depthsOf } from '@runnel/control-plane/dashboard/runs/task-order.ts';
import { timelineOf } from '@runnel/control-plane/dashboard/runs/timeline.ts';
import { RUN_STATES as PROTOCOL_STATES, TASK_STATES } from '@runnel/shared/protocol/runs.ts';
import { cell, sampleDetail, sampleInstance, sampleRun } from './run-samples.ts';
import { sampleAgent } from './sample-agent.ts';

const chain = [
  { id: 'a', needs: [] },
  { id: 'b', needs: ['a'] },
  { id: 'c', needs: ['a', 'b'] },
];

describe('looks', () => {
  test('every state of a run and of a task has a shape of its own', () => {
    expect(RUN_STATES).toEqual(PROTOCOL_STATES);
    expect(new Set(RUN_STATES.map((state) => runLook(state).shape)).size).toBe(RUN_STATES.length);
    const shapes = [null, ...TASK_STATES].map((state) => taskLook(state).shape);
    expect(new Set(shapes).size).toBe(TASK_STATES.length + 1);
  });

  test('a run that was told to end says so until it has ended', () => {
    const run = sampleRun({ state: 'running', cancelling: true });
    expect(lookOfRun(run)).toMatchObject({ word: 'Cancelling', tone: 'warning' });
    expect(lookOfRun({ ...run, state: 'cancelled', cancelling: false }).word).toBe('Cancelled');
  });
});

describe('the order of tasks', () => {
  test('a task is as deep as the longest way to it', () => {
    expect(Object.fromEntries(depthsOf([...chain].reverse()))).toEqual({ a: 0, b: 1, c: 2 });
  });

  test('a chain of ten thousand and a cycle are answered too', () => {
    const long = Array.from({ length: 10_000 }, (_, n) => ({ id: `${n}`, needs: [`${n + 1}`] }));
    expect(depthsOf(long).get('0')).toBe(9999);
    const ring = [
      { id: 'a', needs: ['b'] },
      { id: 'b', needs: ['a'] },
    ];
    expect(depthsOf(ring).size).toBe(2);
  });

  test('behind a task is everything that needs it, however far', () => {
    expect([...behind(chain, 'b')]).toEqual(['b', 'c']);
  });
});

describe('the grid', () => {
  const old = sampleRun({ run: 'old', tasks: [cell('gone', 'failed'), cell('a', 'success')] });
  const open = { state: 'running', startedAt: 4000, endedAt: null } as const;
  const now = sampleRun({ run: 'new', ...open, tasks: [cell('a', 'running'), cell('b', null)] });
  const grid = gridOf([now, old], chain, 12_000);

  test('the newest run is at the right, tasks stand in the order of the document', () => {
    expect(grid.columns.map(({ run }) => run.run)).toEqual(['old', 'new']);
    expect(grid.rows.map(({ task, depth }) => [task, depth])).toEqual([
      ['a', 0],
      ['b', 1],
      ['gone', 0],
    ]);
    expect(grid.rows[2]?.cells.map((each) => each?.state)).toEqual(['failed', undefined]);
  });

  test('a run that goes on is as long as it has taken, and the longest bar is full', () => {
    expect(grid.columns.map(({ durationMs, share }) => [durationMs, share])).toEqual([
      [2000, 0.5],
      [8000, 1],
    ]);
  });

  test('a mapped task says how many of its instances succeeded', () => {
    const mapped = { ...cell('a', 'running'), instances: { succeeded: 3, reported: 4 } };
    expect(instanceWords(mapped)).toBe('3/4');
    expect(instanceWords(cell('a', 'running'))).toBe('');
  });
});

describe('the list of runs', () => {
  const [r1, r2] = [sampleRun({ run: 'r1' }), sampleRun({ run: 'r2' })];

  test('a run that changes keeps its place, a new one goes first', () => {
    const changed = sampleRun({ run: 'r1', state: 'failed' });
    const merged = mergeRuns([r2, r1], [sampleRun({ run: 'r3' }), changed], noRunFilter);
    expect(merged.map(({ run, state }) => `${run} ${state}`)).toEqual([
      'r3 success',
      'r2 success',
      'r1 failed',
    ]);
  });

  test('what the filter no longer takes goes', () => {
    const changed = [sampleRun({ run: 'r1', state: 'failed' })];
    expect(mergeRuns([r1], changed, { agent: null, state: 'success' })).toEqual([]);
    expect(mergeRuns([], [r1], { agent: 'other', state: null })).toEqual([]);
    expect(mergeRuns([], [r1], { agent: 'press-1', state: null })).toEqual([r1]);
  });

  test('a run is never listed twice', () => {
    expect(appendRuns([r2, r1], [r1])).toEqual([r2, r1]);
  });

  test('the filter survives its way through the address', () => {
    const filter = { agent: 'press 1', state: 'failed' } as const;
    expect(readRunFilter(writeRunFilter(filter))).toEqual(filter);
    expect(readRunFilter('?state=odd')).toEqual(noRunFilter);
    expect(parseRoute(paths.jobRuns('j'))).toEqual({ page: 'job', name: 'j', tab: 'runs' });
    const run = new URL(paths.run('r', 'a&b'), 'http://here');
    expect(parseRoute(run.pathname)).toEqual({ page: 'run', id: 'r' });
    expect(run.searchParams.get('agent')).toBe('a&b');
  });
});

describe('the line of time', () => {
  test('bars stand where their task ran, open ones reach to now', () => {
    const run = sampleDetail({
      ...{ state: 'running', startedAt: 1000, endedAt: null },
      tasks: chain.map((task) => ({ ...cell(task.id, null), needs: task.needs })),
      instances: [
        sampleInstance({ task: 'a', startedAt: 1000, endedAt: 2000 }),
        sampleInstance({ task: 'b', index: 0, startedAt: 2000, endedAt: 3000 }),
        sampleInstance({ task: 'b', index: 1, state: 'running', startedAt: 2500, endedAt: null }),
      ],
    });
    const { rows } = timelineOf(run, 5000);
    expect(rows.map(({ bar }) => bar)).toEqual([
      { left: 0, width: 0.25 },
      { left: 0.25, width: 0.75 },
      null,
    ]);
    expect(rows[1]?.instances.map(({ index }) => index)).toEqual([0, 1]);
    expect(rows[1]?.head).toBeNull();
  });
});

describe('what can be done', () => {
  const tasks = [
    { ...cell('a', 'success'), needs: [] },
    { ...cell('b', 'failed'), needs: ['a'] },
  ];
  const failed = sampleDetail({ state: 'failed', tasks });
  const kinds = (run: typeof failed, task: string | null) =>
    actionsOf(run, task).map(({ kind }) => kind);

  test('follows the state of the run and of the task', () => {
    expect(kinds(failed, null)).toEqual(['rerunFailed', 'rerunAll', 'markRun']);
    expect(kinds(sampleDetail({ tasks: tasks.slice(0, 1) }), null)).toEqual(['rerunAll']);
    expect(kinds(sampleDetail({ state: 'running' }), null)).toEqual(['cancel']);
    expect(kinds(failed, 'a')).toEqual(['rerunFrom']);
    expect(kinds(failed, 'b')).toEqual(['rerunFrom', 'markTask']);
  });

  test('is said before: which tasks run again, and as which try', () => {
    expect(actionText({ kind: 'rerunFailed' }, failed)).toMatchObject({ tasks: ['b'] });
    expect(actionText({ kind: 'rerunFrom', task: 'a' }, failed).tasks).toEqual(['a', 'b']);
    expect(actionText({ kind: 'rerunAll' }, failed).consequence).toContain('as try 2');
  });
});

describe('the log', () => {
  const line = (n: number) =>
    ({ n, at: 0, level: 'info', task: null, index: null, attempt: 1, text: `${n}` }) as const;

  test('a page that comes twice counts once, and the oldest of too many lines go, counted', () => {
    const page = { items: [line(1), line(2)], next: 2, open: true };
    const log = appendLog(appendLog(emptyLog, page), page);
    expect(log.lines.map(({ n }) => n)).toEqual([1, 2]);
    const items = Array.from({ length: LOG_LINES_MAX }, (_, n) => line(n + 3));
    const full = appendLog(log, { items, next: LOG_LINES_MAX + 2, open: false });
    expect(full).toMatchObject({ cut: 2, open: false });
    expect(full.lines).toHaveLength(LOG_LINES_MAX);
  });
});

test('a device whose newest run of a job failed needs attention, with the way to the run', () => {
  const failedRun = { run: 'r1', partition: '2026-11-22', endedAt: 5 };
  const job = {
    name: 'j',
    version: 1,
    phase: 'running',
    desiredVersion: 1,
    attempted: null,
    notPlaced: null,
  };
  const agent = sampleAgent({ id: 'x', jobs: [{ ...job, failedRun }] });
  expect(attentionOf(agent)).toMatchObject({
    level: 'error',
    causes: [{ severity: 'error', text: 'j/2026-11-22 failed', since: 5, run: 'r1' }],
  });
});
