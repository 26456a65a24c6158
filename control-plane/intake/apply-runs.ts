/**
 * Reports of runs and tasks into the store, in the transaction that moves the lane's mark: each is
 * the whole of what its device knew, so the newest replaces what is there, and a block that comes
 * again changes nothing. They are no results: nothing of them goes to that table.
 *
 * A run that ends writes an event with its cause and what it affects, once per try.
 *
 * Refused, counted and told in the log: a report that does not parse (the block goes on without
 * it; a device that sends such would send it for ever). Reports are judged under the id of the
 * agent whose lane they came in, so that no device can touch a run of another.
 */
import type { Transaction } from 'kysely';
import { NAME, SUBJECT_TOKEN } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import {
  type RunReport,
  runReport,
  type RunState,
  type TaskReport,
  taskReport,
} from '@runnel/shared/protocol/runs.ts';
import type { Schema } from '../store/schema.ts';

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

const ENDED: ReadonlySet<RunState> = new Set(['success', 'failed', 'cancelled']);
const SEVERITY = { success: 'ok', failed: 'error', cancelled: 'info' } as const;
/** Names and partitions that come from a device, without what no database text may hold. */
const PLAIN = /^[^\p{Cc}]{1,256}$/u;

export const isRunRow = ({ kind }: Pick<Row, 'kind'>): boolean => kind === 'run' || kind === 'task';

/** `rows` are of the kinds `run` and `task`, in the order of their lane. */
export async function applyRuns(
  transaction: Transaction<Schema>,
  agent: string,
  rows: readonly Row[],
  now: number,
): Promise<AppliedRuns> {
  const changes = new Map<string, RunChange>();
  let refused = 0;
  for (const row of rows) {
    const change = await applyRow(transaction, agent, row, now);
    if (change === undefined) refused += 1;
    else {
      const ended = change.ended ?? changes.get(change.run)?.ended ?? null;
      changes.set(change.run, { ...change, ended });
    }
  }
  return { changes: [...changes.values()], refused };
}

async function applyRow(
  transaction: Transaction<Schema>,
  agent: string,
  row: Row,
  now: number,
): Promise<RunChange | undefined> {
  if (!NAME.test(row.job)) return undefined;
  if (row.kind === 'run') {
    const { data } = runReport.safeParse(row.value);
    if (data === undefined || !SUBJECT_TOKEN.test(data.run) || !PLAIN.test(data.partition)) {
      return undefined;
    }
    return await putRun(transaction, agent, row, data, now);
  }
  const { data } = taskReport.safeParse(row.value);
  if (data === undefined || !SUBJECT_TOKEN.test(data.run) || !PLAIN.test(data.task)) {
    return undefined;
  }
  await putTask(transaction, agent, data, now);
  return { agent, run: data.run, job: row.job, ended: null };
}

async function putRun(
  transaction: Transaction<Schema>,
  agent: string,
  { job, version }: Row,
  report: RunReport,
  now: number,
): Promise<RunChange> {
  const { run, state } = report;
  const before = await transaction
    .selectFrom('runs')
    .select(['id', 'state', 'tries'])
    .where('run', '=', run)
    .where('agent', '=', agent)
    .executeTakeFirst();
  const values = { ...runValues(report), job, version: count(version), received_at: now };
  if (before === undefined) {
    await transaction
      .insertInto('runs')
      .values({ agent, run, ...values })
      .execute();
  } else {
    await transaction.updateTable('runs').set(values).where('id', '=', before.id).execute();
  }
  const known = before?.state === state && before.tries === values.tries;
  if (!ENDED.has(state) || known) return { agent, run, job, ended: null };
  await insertEnd(transaction, agent, job, report, now);
  return { agent, run, job, ended: { state, at: values.ended_at ?? now } };
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
  };
}

async function insertEnd(
  transaction: Transaction<Schema>,
  agent: string,
  job: string,
  report: RunReport,
  now: number,
): Promise<void> {
  const { run, partition, state, tries, error, affected } = report;
  const cause = error === null ? '' : `: ${error.message}`;
  const held = [
    ...(affected.tasks.length === 0 ? [] : [`tasks not run: ${affected.tasks.join(', ')}`]),
    ...(affected.jobs.length === 0 ? [] : [`jobs that wait for it: ${affected.jobs.join(', ')}`]),
  ];
  const affects = held.length === 0 ? '' : ` (${held.join('; ')})`;
  await transaction
    .insertInto('events')
    .values({
      // A device whose clock is ahead must not keep its events from ever growing old.
      at: Math.min(whole(report.endedAt ?? now), now),
      agent,
      job,
      type: 'run',
      severity: SEVERITY[state as keyof typeof SEVERITY],
      message: `run of ${partition} ${ENDED_AS[state] ?? state}${cause}${affects}`.slice(0, 2000),
      data: JSON.stringify({ run, partition, state, tries, error, affected }),
    })
    .execute();
}

const ENDED_AS: Readonly<Partial<Record<RunState, string>>> = {
  success: 'succeeded',
  cancelled: 'was cancelled',
};

async function putTask(
  transaction: Transaction<Schema>,
  agent: string,
  report: TaskReport,
  now: number,
): Promise<void> {
  const { run, task, index } = report;
  const item = index === null ? -1 : count(index);
  const own = transaction
    .selectFrom('run_tasks')
    .select('id')
    .where('run', '=', run)
    .where('agent', '=', agent)
    .where('task', '=', task)
    .where('item', '=', item);
  const before = await own.executeTakeFirst();
  const values = {
    state: report.state,
    attempt: count(report.attempt),
    started_at: wholeOrNull(report.startedAt),
    ended_at: wholeOrNull(report.endedAt),
    next_attempt_at: wholeOrNull(report.nextAttemptAt),
    output: outputText(report.output),
    error: JSON.stringify(report.error),
    received_at: now,
  };
  if (before === undefined) {
    await transaction
      .insertInto('run_tasks')
      .values({ agent, run, task, item, ...values })
      .execute();
  } else {
    await transaction.updateTable('run_tasks').set(values).where('id', '=', before.id).execute();
  }
  if (index !== null || report.state !== 'waiting') return;
  // The task is to run (again): the list that its instances came of is made anew.
  await transaction
    .deleteFrom('run_tasks')
    .where('run', '=', run)
    .where('agent', '=', agent)
    .where('task', '=', task)
    .where('item', '>=', 0)
    .execute();
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
