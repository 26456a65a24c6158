/** Rollouts. Jobs from before run everywhere what they are to run: their version is a good one. */
import type { Kysely } from 'kysely';
import type { Dialect } from '../open-store.ts';

interface Before {
  jobs: { name: string; version: number; updated_at: number; deleted_at: number | null };
  rollouts: Record<string, string | number | null>;
}

export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await dialect
    .withSerialId(db.schema.createTable('rollouts'))
    .addColumn('rollout', 'text', (c) => c.notNull().unique())
    .addColumn('job', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('phase', 'text', (c) => c.notNull())
    .addColumn('current', 'integer', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('state', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('rollouts_by_job').on('rollouts').columns(['job', 'id']).execute();
  const before = db as unknown as Kysely<Before>;
  const jobs = await before
    .selectFrom('jobs')
    .select(['name', 'version', 'updated_at'])
    .where('deleted_at', 'is', null)
    .execute();
  for (const { name, version, updated_at: at } of jobs) {
    const rollout = `before-rollouts-${name}`;
    const ended = { phase: 'succeeded', current: 1, started_at: at, ended_at: at };
    await before
      .insertInto('rollouts')
      .values({ rollout, job: name, version, ...ended, state: firstState(name, version, at) })
      .execute();
  }
}

/** As rollout-record.ts of this schema writes it; its own text, since migrations stand still. */
function firstState(job: string, version: number, at: number): string {
  return JSON.stringify({
    v: 1,
    ...{ id: `before-rollouts-${job}`, job, version, from: null, by: 'upgrade' },
    strategy: {
      ...{ gated: false, pauseMs: 0, deviceTimeoutMs: null, maxUnavailable: null },
      ...{ approval: 'auto', minHealthy: 0, slas: [], onFailure: 'continue' },
    },
    ...{ phase: 'succeeded', resumesTo: 'progressing', byGate: false, hold: null },
    ...{ batch: 0, batches: 1, startedAt: at, endedAt: at, since: at, movedAt: at },
    ...{ clockMs: 0, phaseClockMs: 0, why: 'it ran before rollouts were kept' },
    counts: { updated: 0, pending: 0, unknown: 0, failed: 0 },
    devices: [],
  });
}
