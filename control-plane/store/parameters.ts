/**
 * Values that people set for jobs' parameters, one row for each job, scope and name. They outlast
 * the job's versions and its deletion; those of an agent go with the agent.
 */
import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export interface ParameterRecord {
  readonly job: string;
  /** As `scopeText` in definitions/parameter-layers.ts gives it. */
  readonly scope: string;
  readonly name: string;
  readonly value: unknown;
  readonly setAt: number;
  readonly setBy: string;
}

export interface ParameterChange {
  readonly job: string;
  readonly scope: string;
  readonly set: Readonly<Record<string, unknown>>;
  readonly unset: readonly string[];
  readonly at: number;
  readonly by: string;
}

/** By job, scope and name; of every job, a deleted one too, or of one. */
export async function parameterRecords(
  db: Kysely<Schema>,
  job?: string,
): Promise<ParameterRecord[]> {
  let query = db.selectFrom('job_parameters').selectAll();
  if (job !== undefined) query = query.where('job', '=', job);
  const rows = await query.orderBy('job').orderBy('scope').orderBy('name').execute();
  return rows.map(({ set_at, set_by, value, ...row }) => ({
    ...row,
    value: JSON.parse(value) as unknown,
    setAt: set_at,
    setBy: set_by,
  }));
}

/** One transaction: all of it or nothing. */
export async function changeParameters(
  db: Kysely<Schema>,
  { job, scope, set, unset, at, by }: ParameterChange,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    for (const name of unset) {
      await transaction
        .deleteFrom('job_parameters')
        .where('job', '=', job)
        .where('scope', '=', scope)
        .where('name', '=', name)
        .execute();
    }
    for (const [name, value] of Object.entries(set)) {
      const values = { value: JSON.stringify(value), set_at: at, set_by: by };
      await transaction
        .insertInto('job_parameters')
        .values({ job, scope, name, ...values })
        .onConflict((conflict) => conflict.columns(['job', 'scope', 'name']).doUpdateSet(values))
        .execute();
    }
  });
}
