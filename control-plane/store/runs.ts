/**
 * Reads of runs of batch jobs. Newest first is by the order in which runs were first heard of, the
 * one order that no wrong clock of a device can bend; a page's cursor is that order's number.
 */
import type { Kysely, Selectable } from 'kysely';
import type {
  RunError,
  RunReport,
  RunState,
  RunTrigger,
  TaskState,
} from '@runnel/shared/protocol/runs.ts';
import type { RunsTable, RunTasksTable, Schema } from './schema.ts';

/** Who speaks of a run: ids are random, but a device could say another's. */
export interface RunKey {
  readonly agent: string;
  readonly run: string;
}

export interface RunRecord extends RunReport {
  readonly id: number;
  readonly agent: string;
  readonly job: string;
  readonly version: number;
  readonly receivedAt: number;
}

export interface TaskInstanceRecord extends RunKey {
  readonly task: string;
  readonly index: number | null;
  readonly state: TaskState;
  readonly attempt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly nextAttemptAt: number | null;
  readonly output: unknown;
  readonly error: RunError | null;
}

export interface RunPage {
  readonly job?: string;
  readonly agent?: string;
  readonly state?: RunState;
  readonly partition?: string;
  readonly trigger?: RunTrigger;
  /** Only ids below this. */
  readonly before?: number;
  readonly limit: number;
}

type Filter = 'agent' | 'job' | 'state' | 'partition' | 'trigger';
const FILTERS: readonly Filter[] = ['agent', 'job', 'state', 'partition', 'trigger'];

/**
 * Newest first. SQLite keeps no statistics here and would as soon look up every run that succeeded
 * as those of one agent, so the filters that an index is chosen by are chosen by us; the others are
 * compared in a way that no index answers.
 */
export async function pageRuns(db: Kysely<Schema>, page: RunPage): Promise<RunRecord[]> {
  let query = db.selectFrom('runs').selectAll().orderBy('id', 'desc').limit(page.limit);
  if (page.before !== undefined) query = query.where('id', '<', page.before);
  const leading = leadingFilters(page);
  for (const column of FILTERS) {
    const value = page[column];
    if (value === undefined) continue;
    query = leading.includes(column)
      ? query.where(column, '=', value)
      : query.where((e) => e(e.fn.coalesce(column, e.val('')), '=', value));
  }
  return (await query.execute()).map(fromRow);
}

/** The columns of one index each, those that leave the fewest runs first. */
function leadingFilters(page: RunPage): readonly Filter[] {
  const has = (column: Filter): boolean => page[column] !== undefined;
  if (has('agent')) return ['agent', 'job', 'state'];
  if (has('partition')) return ['partition'];
  if (has('job')) return ['job', 'state'];
  // Most runs succeed and most are of a schedule; what else is asked for is rare.
  const rareTrigger = has('trigger') && page.trigger !== 'schedule';
  return has('state') && !(page.state === 'success' && rareTrigger) ? ['state'] : ['trigger'];
}

/**
 * Runs of this id; when there is none, runs whose id begins with it. At most `limit`, of one agent
 * where it is given.
 */
export async function findRuns(
  db: Kysely<Schema>,
  idOrPrefix: string,
  limit: number,
  agent?: string,
): Promise<RunRecord[]> {
  let runs = db.selectFrom('runs').selectAll().limit(limit);
  if (agent !== undefined) runs = runs.where('agent', '=', agent);
  const exact = await runs.where('run', '=', idOrPrefix).execute();
  if (exact.length > 0) return exact.map(fromRow);
  const beginning = await runs
    // `like` would fold case in one database and not in the other. No id has a `~`, and what ids
    // are made of comes before it.
    .where('run', '>=', idOrPrefix)
    .where('run', '<', `${idOrPrefix}~`)
    .execute();
  return beginning.map(fromRow);
}

/** Newest first; those that are gone are missing. */
export async function runsOf(db: Kysely<Schema>, keys: readonly RunKey[]): Promise<RunRecord[]> {
  if (keys.length === 0) return [];
  const asked = new Set(keys.map(({ agent, run }) => `${agent} ${run}`));
  const rows = await db
    .selectFrom('runs')
    .selectAll()
    .where(
      'run',
      'in',
      keys.map(({ run }) => run),
    )
    .orderBy('id', 'desc')
    .execute();
  return rows.filter(({ agent, run }) => asked.has(`${agent} ${run}`)).map(fromRow);
}

/** Instances of a run's tasks in no order that means anything, at most `limit`. */
export async function taskInstances(
  db: Kysely<Schema>,
  { agent, run }: RunKey,
  limit: number,
): Promise<TaskInstanceRecord[]> {
  const rows = await db
    .selectFrom('run_tasks')
    .selectAll()
    .where('run', '=', run)
    .where('agent', '=', agent)
    .orderBy('task')
    .orderBy('item')
    .limit(limit)
    .execute();
  return rows.map(fromTaskRow);
}

export interface TaskStateCount extends RunKey {
  readonly task: string;
  /** Of the task itself; false for the instances of a `forEach`. */
  readonly whole: boolean;
  readonly state: TaskState;
  /** Of a `forEach`: how many of its instances are in this state. */
  readonly instances: number;
}

/** The states that are met in each task of these runs, each once. */
export async function taskStates(
  db: Kysely<Schema>,
  runs: readonly RunKey[],
): Promise<TaskStateCount[]> {
  if (runs.length === 0) return [];
  const rows = await db
    .selectFrom('run_tasks')
    .select((e) => [
      ...(['agent', 'run', 'task', 'state'] as const),
      e.fn.min('item').as('first'),
      e.fn.countAll().as('rows'),
    ])
    .where(
      'run',
      'in',
      runs.map(({ run }) => run),
    )
    .groupBy(['agent', 'run', 'task', 'state'])
    .execute();
  return rows.map(({ agent, run, task, state, first, rows: count }) => ({
    agent,
    run,
    task,
    state: state as TaskState,
    whole: first < 0,
    instances: Number(count) - (first < 0 ? 1 : 0),
  }));
}

/**
 * Runs of a job on a device that failed, were stored at or after `since`, and whose partition has
 * not succeeded since; newest first, at most `limit`.
 */
export async function failedRuns(
  db: Kysely<Schema>,
  { agent, job }: { readonly agent: string; readonly job: string },
  since: number,
  limit: number,
): Promise<RunRecord[]> {
  const rows = await db
    .selectFrom('runs as r')
    .selectAll('r')
    .where('r.agent', '=', agent)
    .where('r.job', '=', job)
    .where('r.state', '=', 'failed')
    .where('r.received_at', '>=', since)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom('runs as later')
            .select('later.id')
            .whereRef('later.partition', '=', 'r.partition')
            .whereRef('later.id', '>', 'r.id')
            .where('later.agent', '=', agent)
            .where('later.job', '=', job)
            .where('later.state', '=', 'success'),
        ),
      ),
    )
    .orderBy('r.id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(fromRow);
}

/** Whether a run of this job is on its way again on this device after it had ended. */
export async function isRunAgain(
  db: Kysely<Schema>,
  { agent, job }: { readonly agent: string; readonly job: string },
): Promise<boolean> {
  const row = await db
    .selectFrom('runs')
    .select('id')
    .where('agent', '=', agent)
    .where('job', '=', job)
    .where('state', 'in', ['queued', 'running'])
    .where('tries', '>', 1)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Which jobs of which devices have failed runs that were stored at or after `since`. */
export async function agentsWithFailedRuns(
  db: Kysely<Schema>,
  since: number,
): Promise<{ readonly agent: string; readonly job: string }[]> {
  return await db
    .selectFrom('runs')
    .select(['agent', 'job'])
    .distinct()
    .where('state', '=', 'failed')
    .where('received_at', '>=', since)
    .execute();
}

/** Job → when its newest run that succeeded ended. */
export async function lastSuccesses(db: Kysely<Schema>): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('runs')
    .select((e) => ['job', e.fn.max('ended_at').as('at')])
    .where('state', '=', 'success')
    .groupBy('job')
    .execute();
  return new Map(rows.flatMap(({ job, at }) => (at === null ? [] : [[job, at] as const])));
}

function fromRow(row: Selectable<RunsTable>): RunRecord {
  return {
    id: row.id,
    agent: row.agent,
    run: row.run,
    job: row.job,
    version: row.version,
    key: row.key,
    partition: row.partition,
    partitionStart: row.partition_start,
    partitionEnd: row.partition_end,
    trigger: row.trigger as RunTrigger,
    state: row.state as RunState,
    at: row.at,
    queuedAt: row.queued_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    tries: row.tries,
    parameters: JSON.parse(row.parameters) as Record<string, unknown>,
    origins: JSON.parse(row.origins) as Record<string, string>,
    tasks: JSON.parse(row.tasks) as RunReport['tasks'],
    error: JSON.parse(row.error) as RunError | null,
    affected: JSON.parse(row.affected) as RunReport['affected'],
    ...(row.cancelling === 1 && { cancelling: true }),
    receivedAt: row.received_at,
  };
}

function fromTaskRow(row: Selectable<RunTasksTable>): TaskInstanceRecord {
  return {
    agent: row.agent,
    run: row.run,
    task: row.task,
    index: row.item < 0 ? null : row.item,
    state: row.state as TaskState,
    attempt: row.attempt,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    nextAttemptAt: row.next_attempt_at,
    output: JSON.parse(row.output) as unknown,
    error: JSON.parse(row.error) as RunError | null,
  };
}
