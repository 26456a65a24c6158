/**
 * Rollouts as rows: the newest of each job, and those before it. The state is text here; what it
 * says is rollouts/rollout-record.ts's.
 */
import type { Kysely, Transaction } from 'kysely';
import { limits } from '@runnel/shared/limits.ts';
import type { Schema } from './schema.ts';

export interface RolloutRow {
  readonly rollout: string;
  readonly job: string;
  readonly version: number;
  readonly phase: string;
  readonly current: boolean;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly state: string;
}

/** What a job is to run from now on, with the change of its rollout. */
export interface CurrentVersion {
  readonly job: string;
  readonly version: number;
  readonly now: number;
}

/** States of the newest rollouts of jobs that are to run, by job. */
export async function currentRollouts(db: Kysely<Schema>): Promise<string[]> {
  const rows = await db
    .selectFrom('rollouts')
    .select('state')
    .where('current', '=', 1)
    .orderBy('job')
    .execute();
  return rows.map(({ state }) => state);
}

/** States of a job's rollouts, newest first; of a deleted job too. */
export async function rolloutsOf(db: Kysely<Schema>, job: string): Promise<string[]> {
  const rows = await db
    .selectFrom('rollouts')
    .select('state')
    .where('job', '=', job)
    .orderBy('id', 'desc')
    .execute();
  return rows.map(({ state }) => state);
}

/** One transaction. Rows that are there change; of a job only the newest ones are kept. */
export async function putRollouts(
  db: Kysely<Schema>,
  rows: readonly RolloutRow[],
  current?: CurrentVersion,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (const row of rows) await put(transaction, row);
    if (current !== undefined) await makeCurrent(transaction, current);
  });
}

async function put(transaction: Transaction<Schema>, row: RolloutRow): Promise<void> {
  const { job, version } = row;
  const fields = {
    phase: row.phase,
    current: row.current ? 1 : 0,
    ended_at: row.endedAt,
    state: row.state,
  };
  const changed = await transaction
    .updateTable('rollouts')
    .set(fields)
    .where('rollout', '=', row.rollout)
    .executeTakeFirst();
  if (changed.numUpdatedRows > 0n) return;
  await transaction
    .insertInto('rollouts')
    .values({ rollout: row.rollout, job, version, started_at: row.startedAt, ...fields })
    .execute();
  const oldest = await transaction
    .selectFrom('rollouts')
    .select('id')
    .where('job', '=', job)
    .orderBy('id', 'desc')
    .offset(limits.rolloutsPerJobMax)
    .limit(1)
    .executeTakeFirst();
  if (oldest === undefined) return;
  await transaction
    .deleteFrom('rollouts')
    .where('job', '=', job)
    .where('id', '<=', oldest.id)
    .execute();
}

/** The kind comes from the document: an earlier version may have been of another one. */
async function makeCurrent(
  transaction: Transaction<Schema>,
  { job, version, now }: CurrentVersion,
): Promise<void> {
  const found = await transaction
    .selectFrom('jobs')
    .innerJoin('job_versions', 'job_versions.job', 'jobs.name')
    .select(['jobs.generation', 'job_versions.document'])
    .where('jobs.name', '=', job)
    .where('job_versions.version', '=', version)
    .where('jobs.version', '!=', version)
    .executeTakeFirst();
  if (found === undefined) return;
  const { kind } = JSON.parse(found.document) as { kind: string };
  await transaction
    .updateTable('jobs')
    .set({ kind, version, generation: found.generation + 1, updated_at: now })
    .where('name', '=', job)
    .execute();
}
