/**
 * What the crash runs of batch jobs work on: a job of more than thirty tasks with every kind of
 * output, a second one that its dataset starts, and the data that they read. All of it is the same
 * in every round, so that what comes out can be compared byte for byte.
 */
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';

export const MACHINES = ['m1', 'm2', 'm3'] as const;
const READINGS = 300;
const ORDERS = 120;
export const ORDERS_PER_PAGE = 50;
export const PARTS = 40;

export interface Reading {
  readonly ts: number;
  readonly machine: string;
  readonly rms: number;
}

/** The last three are bad: they go to the dead letters. */
export function readings(): readonly Reading[] {
  return Array.from({ length: READINGS }, (_, n) => ({
    ts: 1_700_000_000_000 + n * 1000,
    machine: MACHINES[n % MACHINES.length]!,
    rms: n < READINGS - 3 ? (n * 37) % 101 : 1e6,
  }));
}

export function readingsCsv(): string {
  const lines = readings().map(({ ts, machine, rms }) => `${ts},${machine},${rms}`);
  return `ts,machine,rms\n${lines.join('\n')}\n`;
}

export interface Order {
  readonly id: number;
  readonly machine: string;
  readonly amount: number;
}

export function orders(): readonly Order[] {
  return Array.from({ length: ORDERS }, (_, n) => ({
    id: n + 1,
    machine: MACHINES[(n * 7) % MACHINES.length]!,
    amount: (n * 13) % 29,
  }));
}

/** Tables of the round's database, and what is in them. */
export const TABLES = `
CREATE TABLE parts (id int, machine text, worn bool);
INSERT INTO parts SELECT n, 'm' || (1 + n % 3), n % 2 = 0 FROM generate_series(1, ${PARTS}) n;
CREATE TABLE appended (machine text, n int, rms float);
CREATE TABLE latest (machine text PRIMARY KEY, n int, rms float);
INSERT INTO latest VALUES ('m1', 0, 0), ('old', 1, 1);
CREATE TABLE replaced (day text, machine text, n int);
INSERT INTO replaced VALUES ('before', 'm1', 1), ('today', 'm1', 1);
CREATE TABLE bought (id int, machine text, amount int);
`;
export const OUTPUT_TABLES = ['appended', 'latest', 'replaced', 'bought'] as const;

export interface JobPlaces {
  /** Of the receiver; every path below it is the round's. */
  readonly http: string;
  readonly postgres: string;
  /** An instant that is past when the agent first starts. */
  readonly at: string;
}

const SHELL = '/bin/sh';
export const COMMANDS = [SHELL];

type Task = Readonly<Record<string, unknown>> & { readonly id: string };

/** Any attempt may be cut off many times. */
const RETRY = {
  attempts: 50,
  backoff: { initial: '20ms', factor: 1, max: '20ms' },
  on: { interrupted: 50 },
};

const shell = (script: string, more: object = {}): object => ({
  command: { run: [SHELL, '-c', script], ...more },
});

function readingTasks({ http, postgres }: JobPlaces): Task[] {
  return [
    { id: 'mount', ...shell('mkdir -p mnt && echo up > mnt/state', { cwd: 'work' }) },
    { id: 'lines', value: { value: [...MACHINES] } },
    {
      id: 'readings',
      needs: ['mount'],
      extract: { file: { path: 'work/readings.csv', types: { ts: 'number', rms: 'number' } } },
    },
    {
      id: 'orders',
      extract: {
        http: {
          url: `${http}/orders`,
          paging: { page: { size: ORDERS_PER_PAGE, sizeParam: 'size' } },
        },
        cursor: { from: 0, value: 'row.id', param: 'since' },
      },
    },
    {
      id: 'parts',
      extract: {
        postgres: { url: postgres, query: 'SELECT * FROM parts WHERE id > $cursor ORDER BY id' },
        cursor: { from: 0, value: 'row.id' },
      },
    },
    {
      id: 'clean',
      needs: ['readings'],
      quality: {
        input: 'readings',
        checks: [
          { notNull: 'machine' },
          { range: { column: 'rms', min: 0, max: 1000 }, severity: 'quarantine' },
        ],
      },
    },
  ];
}

function queryTasks(): Task[] {
  const perMachine = 'SELECT machine, count(*)::INT AS n, sum(rms) AS rms FROM clean';
  return [
    {
      id: 'daily',
      needs: ['clean'],
      sql: {
        query: `${perMachine} GROUP BY machine ORDER BY machine`,
        output: { parquet: 'out/daily-{{ partition.date }}.parquet' },
      },
    },
    {
      id: 'per-line',
      needs: ['clean', 'lines'],
      forEach: "tasks.lines.output.filter(line, line != 'm3')",
      sql: {
        query: 'SELECT ts, rms FROM clean WHERE machine = {{ item }} ORDER BY ts',
        output: { csv: 'out/line-{{ item }}.csv' },
      },
    },
    {
      id: 'joined',
      needs: ['daily', 'orders', 'parts'],
      sql: {
        query: `SELECT d.machine, d.n, sum(o.amount) AS amount,
            (SELECT count(*) FROM parts p WHERE p.machine = d.machine AND p.worn) AS worn
          FROM daily d JOIN orders o USING (machine) GROUP BY ALL ORDER BY d.machine`,
        output: { dataset: 'machine-daily', key: 'machine', deliver: true },
      },
    },
    {
      id: 'sums',
      needs: ['orders'],
      sql: {
        query: `SELECT machine, sum(amount)::INT AS amount FROM orders GROUP BY 1 ORDER BY 1`,
        output: { results: 'order-sums', key: 'machine' },
      },
    },
    {
      id: 'minutes',
      needs: ['clean'],
      transform: {
        input: 'clean',
        time: 'payload.ts',
        steps: [
          { filter: 'payload.rms > 10' },
          {
            window: { tumbling: '1m', by: 'payload.machine' },
            aggregate: { n: 'count()', total: 'sum(payload.rms)' },
          },
        ],
        output: { jsonl: 'out/minutes.jsonl' },
      },
    },
    {
      id: 'hot',
      needs: ['clean'],
      transform: {
        input: 'clean',
        time: 'payload.ts',
        steps: [{ filter: 'payload.rms > 97' }],
        output: { results: 'hot', key: 'machine' },
      },
    },
  ];
}

function loadTasks({ http, postgres }: JobPlaces): Task[] {
  const into = (table: string, more: object = {}): object => ({ url: postgres, table, ...more });
  return [
    {
      id: 'append',
      needs: ['daily'],
      load: { input: 'daily', postgres: into('appended') },
    },
    {
      id: 'upsert',
      needs: ['daily'],
      load: { input: 'daily', postgres: into('latest', { mode: 'upsert', key: ['machine'] }) },
    },
    {
      id: 'replace',
      load: {
        rows: MACHINES.map((machine, n) => ({ day: 'today', machine, n })),
        postgres: into('replaced', { mode: 'replace', where: { day: 'today' } }),
      },
    },
    {
      id: 'buy',
      needs: ['orders'],
      load: { input: 'orders', postgres: into('bought') },
    },
    {
      id: 'export',
      needs: ['orders'],
      load: { input: 'orders', file: { path: 'out/orders.csv' } },
    },
    {
      id: 'push',
      needs: ['orders'],
      load: { input: 'orders', http: { url: `${http}/push`, batchRows: 40, wrap: 'rows' } },
    },
  ];
}

function effectTasks({ http }: JobPlaces): Task[] {
  const post = (path: string, body: object): object => ({
    http: { method: 'POST', url: `${http}/${path}`, body },
  });
  return [
    {
      id: 'hook',
      needs: ['daily'],
      ...post('hook', { rows: '{{ tasks.daily.output.rowCount }}' }),
    },
    {
      id: 'per-line-hook',
      needs: ['lines'],
      forEach: 'tasks.lines.output',
      parallel: 2,
      ...post('lines', { line: '{{ item }}', index: '{{ index }}' }),
    },
    { id: 'flaky', ...post('flaky', { is: 'flaky' }) },
    { id: 'risky', retry: { attempts: 1 }, ...post('refuse', { is: 'risky' }) },
    {
      id: 'complain',
      needs: ['risky'],
      trigger: 'one_failed',
      ...post('complain', { state: '{{ tasks.risky.state }}' }),
    },
    {
      id: 'choose',
      needs: ['daily'],
      branch: "tasks.daily.output.rowCount > 2 ? ['big'] : ['small']",
    },
    { id: 'big', needs: ['choose'], ...post('big', { chosen: 'big' }) },
    { id: 'small', needs: ['choose'], ...post('small', { chosen: 'small' }) },
    {
      id: 'either',
      needs: ['big', 'small'],
      trigger: 'none_failed_min_one_success',
      value: { value: { big: '{{ tasks.big.state }}', small: '{{ tasks.small.state }}' } },
    },
    { id: 'never', when: 'false', ...post('never', {}) },
    {
      id: 'note',
      needs: ['mount'],
      // What it does is done once by the key, as the reference asks of a program.
      ...shell('cat mnt/state > note-$RUNNEL_EFFECT_KEY && sleep 0.2', { cwd: 'work' }),
    },
    {
      id: 'slow',
      ...shell('sleep 0.3 & sleep 0.3; wait; echo \'{"slept": 2}\'', { output: 'json' }),
    },
    { id: 'share', needs: ['daily'], publish: { from: 'daily', dataset: 'daily-rms' } },
    { id: 'done', needs: ['push', 'note', 'either', 'hook', 'minutes'], value: { value: 'done' } },
    {
      id: 'unmount',
      needs: ['note', 'clean', 'export'],
      teardown: ['mount'],
      ...shell('rm -rf mnt', { cwd: 'work' }),
    },
  ];
}

/** 33 tasks, some of them with an instance for each machine. */
export function crashJobs(places: JobPlaces): DesiredJob[] {
  const tasks = [
    ...readingTasks(places),
    ...queryTasks(),
    ...loadTasks(places),
    ...effectTasks(places),
  ].map((task) => ({ retry: RETRY, ...task }));
  const follow: Task[] = [
    {
      id: 'read',
      sql: {
        query: `SELECT machine, n, rms FROM dataset('daily-rms') ORDER BY machine`,
        output: { jsonl: 'out/follow.jsonl' },
      },
    },
    {
      id: 'tell',
      needs: ['read'],
      http: { method: 'POST', url: `${places.http}/follow`, body: '{{ tasks.read.output.rows }}' },
    },
  ];
  return [
    desired('pipeline', {
      schedule: { at: places.at, catchUpWindow: '30d' },
      partition: { every: '1d' },
      tasks,
    }),
    desired('follow', {
      schedule: { dataset: 'daily-rms' },
      partition: { every: '1d' },
      tasks: follow.map((task) => ({ retry: RETRY, ...task })),
    }),
  ];
}

function desired(name: string, more: object): DesiredJob {
  const document = { apiVersion: 'runnel/v1', kind: 'BatchJob', metadata: { name }, ...more };
  return { name, version: 1, hash: name, document, parameters: {}, paused: false };
}
