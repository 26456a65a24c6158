/**
 * Reports of runs and tasks into the store, in the transaction that moves the lane's mark: each is
 * the whole of what its device knew, so the newest replaces what is there, and a block that comes
 * again changes nothing. They are no results: nothing of them goes to that table.
 *
 * A run that ends badly writes an event with its cause and what it affects, once per try. One that
 * succeeds writes one only where that is news: when the run of its job before it on the same agent
 * did not, or when it took more than one try. So ten thousand devices with an hourly job that
 * succeeds write no events at all.
 *
 * Refused, counted and told in the log: a report that does not parse (the block goes on without
 * it; a device that sends such would send it for ever). Reports are judged under the id of the
 * agent whose lane they came in, so that no device can touch a run of another.
 */
import type { Insertable, Transaction } from 'kysely';
import { NAME, SUBJECT_TOKEN } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import {
  ENDED_RUN_STATES,
  hasEnded,
  type RunReport,
  runReport,
  type RunState,
  type TaskReport,
  taskReport,
} from '@runnel/shared/protocol/runs.ts';
import { storableText } from '../store/storable-text.ts';
import type { EventsTable, RunsTable, RunTasksTable, Schema } from '../store/schema.ts';

/** What a block changed, for views and metrics. */
export interface RunChange {
  readonly agent: string;
  readonly run: string;
  readonly job: string;
  /** Set when the run ended with this report. */
  readonly ended: { readonly state: RunState; readonly at: number } | null;
}

export interface AppliedRuns {
  /** Each run once. */
  readonly changes: readonly RunChange[];
  /** Reports that did not parse. */
  readonly refused: number;
}

const SEVERITY = { success: 'ok', failed: 'error', cancelled: 'info' } as const;
/** Names and partitions that come from a device, without what no database text may hold. */
const PLAIN = /^[^\p{Cc}]{1,256}$/u;

export const isRunRow = ({ kind }: Pick<Row, 'kind'>): boolean => kind === 'run' || kind === 'task';

interface RunRow {
  readonly row: Row;
  readonly report: RunReport;
}

/**
 * `rows` are of the kinds `run` and `task`, in the order of their lane. Of many reports of one
 * thing only the last is written: a block of a busy device is a few statements.
 */
export async function applyRuns(
  transaction: Transaction<Schema>,
  agent: string,
  rows: readonly Row[],
  now: number,
): Promise<AppliedRuns> {
  const runs = new Map<string, RunRow[]>();
  const tasks = new TaskReports();
  const changes = new Map<string, RunChange>();
  let refused = 0;
  for (const row of rows) {
    const report = NAME.test(row.job) ? reportOf(row) : undefined;
    if (report === undefined) {
      refused += 1;
      continue;
    }
    const { run } = report;
    changes.set(run, { agent, run, job: row.job, ended: null });
    if ('task' in report) tasks.add(report);
    else runs.set(run, [...(runs.get(run) ?? []), { row, report }]);
  }
  const before = await statesBefore(transaction, agent, rows);
  const ends = await putRuns(transaction, agent, runs, now);
  const news = ends.filter((end) => isNews(end, before));
  for (const events of chunksOf(news.map((end) => endEvent(agent, end, now)))) {
    await transaction.insertInto('events').values(events).execute();
  }
  for (const { row, report } of ends) {
    const ended = { state: report.state, at: wholeOrNull(report.endedAt) ?? now };
    changes.set(report.run, { agent, run: report.run, job: row.job, ended });
  }
  await putTasks(transaction, agent, tasks, now);
  return { changes: [...changes.values()], refused };
}

function reportOf(row: Row): RunReport | TaskReport | undefined {
  const { data } =
    row.kind === 'run' ? runReport.safeParse(row.value) : taskReport.safeParse(row.value);
  if (data === undefined || !SUBJECT_TOKEN.test(data.run)) return undefined;
  return PLAIN.test('task' in data ? data.task : data.partition) ? data : undefined;
}

/**
 * How the newest run of each job had ended before this block; of jobs that succeed in it alone, one
 * statement each, over the index of an agent's jobs.
 */
async function statesBefore(
  transaction: Transaction<Schema>,
  agent: string,
  rows: readonly Row[],
): Promise<Map<string, string>> {
  const succeeding = rows.filter(
    ({ kind, job, value }) =>
      kind === 'run' && NAME.test(job) && (value as Partial<RunReport> | null)?.state === 'success',
  );
  const states = new Map<string, string>();
  for (const job of distinct(succeeding.map((row) => row.job))) {
    const last = await transaction
      .selectFrom('runs')
      .select('state')
      .where('agent', '=', agent)
      .where('job', '=', job)
      .where('state', 'in', [...ENDED_RUN_STATES])
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (last !== undefined) states.set(job, last.state);
  }
  return states;
}

/** Told of the ends in their order; `before` goes on with each. */
function isNews({ row, report }: RunRow, before: Map<string, string>): boolean {
  const last = before.get(row.job) ?? 'success';
  before.set(row.job, report.state);
  return report.state !== 'success' || last !== 'success' || report.tries > 1;
}

/** Writes the last report of each run; gives those by which a run ended, in their order. */
async function putRuns(
  transaction: Transaction<Schema>,
  agent: string,
  runs: ReadonlyMap<string, readonly RunRow[]>,
  now: number,
): Promise<RunRow[]> {
  const ends: RunRow[] = [];
  const fresh: Insertable<RunsTable>[] = [];
  for (const chunk of chunksOf([...runs.keys()])) {
    const stored = await transaction
      .selectFrom('runs')
      .select(['id', 'run', 'state', 'tries'])
      .where('agent', '=', agent)
      .where('run', 'in', chunk)
      .execute();
    const known = new Map(stored.map((each) => [each.run, each]));
    for (const run of chunk) {
      const reports = runs.get(run) ?? [];
      const before = known.get(run);
      ends.push(...endsOf(reports, before));
      const last = reports.at(-1)!;
      const { job, version } = last.row;
      const head = { job, version: count(version), received_at: now };
      const values = { ...runValues(last.report), ...head };
      if (before === undefined) fresh.push({ agent, run, ...values });
      else await transaction.updateTable('runs').set(values).where('id', '=', before.id).execute();
    }
  }
  for (const values of chunksOf(fresh)) {
    await transaction.insertInto('runs').values(values).execute();
  }
  return ends.toSorted((a, b) => a.row.seq - b.row.seq);
}

/** A run that was told to have ended, and is told so again in the same try, ended once. */
function endsOf(
  reports: readonly RunRow[],
  before: { readonly state: string; readonly tries: number } | undefined,
): RunRow[] {
  let last = before;
  return reports.filter(({ report }) => {
    const now = { state: report.state, tries: count(report.tries) };
    const known = last?.state === now.state && last.tries === now.tries;
    last = now;
    return hasEnded(report.state) && !known;
  });
}

function runValues(report: RunReport) {
  const { partition, trigger, state, error, affected, parameters, origins, tasks } = report;
  return {
    key: report.key.slice(0, 400),
    partition,
    partition_start: whole(report.partitionStart),
    partition_end: whole(report.partitionEnd),
    trigger,
    state,
    at: whole(report.at),
    queued_at: whole(report.queuedAt),
    started_at: wholeOrNull(report.startedAt),
    ended_at: wholeOrNull(report.endedAt),
    tries: count(report.tries),
    parameters: JSON.stringify(parameters),
    origins: JSON.stringify(origins),
    tasks: JSON.stringify(tasks),
    error: JSON.stringify(error),
    affected: JSON.stringify(affected),
    cancelling: report.cancelling === true ? 1 : 0,
  };
}

function endEvent(agent: string, { row, report }: RunRow, now: number): Insertable<EventsTable> {
  const { run, partition, state, tries, error, affected } = report;
  const cause = error === null ? '' : `: ${error.message}`;
  const held = [
    ...(affected.tasks.length === 0 ? [] : [`tasks not run: ${affected.tasks.join(', ')}`]),
    ...(affected.jobs.length === 0 ? [] : [`jobs that wait for it: ${affected.jobs.join(', ')}`]),
  ];
  const affects = held.length === 0 ? '' : ` (${held.join('; ')})`;
  const message = `run of ${partition} ${ENDED_AS[state] ?? state}${cause}${affects}`;
  return {
    // A device whose clock is ahead must not keep its events from ever growing old.
    at: Math.min(whole(report.endedAt ?? now), now),
    agent,
    job: row.job,
    type: 'run',
    severity: SEVERITY[state as keyof typeof SEVERITY],
    message: storableText(message, limits.eventMessageCharsMax),
    data: JSON.stringify({ run, partition, state, tries, error, affected }),
  };
}

const ENDED_AS: Readonly<Partial<Record<RunState, string>>> = {
  success: 'succeeded',
  cancelled: 'was cancelled',
};

/** The last report of each instance in a block, and the tasks whose instances are made anew. */
class TaskReports {
  readonly reports = new Map<string, TaskReport>();
  /** A task that waits to run (again): the list that its instances came of is made anew. */
  readonly emptied = new Map<string, Pick<TaskReport, 'run' | 'task'>>();
  readonly #instances = new Map<string, Set<string>>();

  add(report: TaskReport): void {
    const { run, task, index, state } = report;
    const whole = `${run} ${task}`;
    const key = `${run} ${itemOf(report)} ${task}`;
    this.reports.set(key, report);
    if (index !== null) {
      const keys = this.#instances.get(whole) ?? new Set();
      this.#instances.set(whole, keys.add(key));
    } else if (state === 'waiting') {
      for (const instance of this.#instances.get(whole) ?? []) this.reports.delete(instance);
      this.#instances.delete(whole);
      this.emptied.set(whole, { run, task });
    }
  }
}

const itemOf = ({ index }: TaskReport): number => (index === null ? -1 : count(index));

async function putTasks(
  transaction: Transaction<Schema>,
  agent: string,
  { reports, emptied }: TaskReports,
  now: number,
): Promise<void> {
  for (const { run, task } of emptied.values()) {
    await transaction
      .deleteFrom('run_tasks')
      .where('run', '=', run)
      .where('agent', '=', agent)
      .where('task', '=', task)
      .where('item', '>=', 0)
      .execute();
  }
  const fresh: Insertable<RunTasksTable>[] = [];
  const ids = await storedTasks(transaction, agent, reports);
  for (const [key, report] of reports) {
    const { run, task } = report;
    const values = taskValues(report, now);
    const id = ids.get(key);
    if (id === undefined) fresh.push({ agent, run, task, item: itemOf(report), ...values });
    else await transaction.updateTable('run_tasks').set(values).where('id', '=', id).execute();
  }
  for (const values of chunksOf(fresh)) {
    await transaction.insertInto('run_tasks').values(values).execute();
  }
}

/** Ids of the instances that are stored, by their keys; of some that were not reported too. */
async function storedTasks(
  transaction: Transaction<Schema>,
  agent: string,
  reports: ReadonlyMap<string, TaskReport>,
): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  for (const chunk of chunksOf([...reports.values()])) {
    const stored = await transaction
      .selectFrom('run_tasks')
      .select(['id', 'run', 'task', 'item'])
      .where('agent', '=', agent)
      .where('run', 'in', distinct(chunk.map(({ run }) => run)))
      .where('task', 'in', distinct(chunk.map(({ task }) => task)))
      .where('item', 'in', distinct(chunk.map(itemOf)))
      .execute();
    for (const { id, run, task, item } of stored) ids.set(`${run} ${item} ${task}`, id);
  }
  return ids;
}

const distinct = <T>(all: readonly T[]): T[] => [...new Set(all)];

function taskValues(report: TaskReport, now: number) {
  return {
    state: report.state,
    attempt: count(report.attempt),
    started_at: wholeOrNull(report.startedAt),
    ended_at: wholeOrNull(report.endedAt),
    next_attempt_at: wholeOrNull(report.nextAttemptAt),
    output: outputText(report.output),
    error: JSON.stringify(report.error),
    received_at: now,
  };
}

/** Rows, or values of a condition, in one statement: under every database's bound on parameters. */
const CHUNK = 500;

function chunksOf<T>(all: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let start = 0; start < all.length; start += CHUNK)
    chunks.push(all.slice(start, start + CHUNK));
  return chunks;
}

function outputText(output: unknown): string {
  const text = JSON.stringify(output ?? null);
  const bytes = Buffer.byteLength(text);
  return bytes <= limits.taskOutputStoredBytesMax
    ? text
    : JSON.stringify({ truncated: true, bytes });
}

/** What a `bigint` and an `integer` column of every database take. */
const whole = (value: number): number =>
  Math.trunc(Math.min(Math.max(value, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER));
const wholeOrNull = (value: number | null): number | null => (value === null ? null : whole(value));
const count = (value: number): number => Math.trunc(Math.min(Math.max(value, 0), 2 ** 31 - 1));
