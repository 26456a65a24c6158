/** What every store must do with rollouts: the newest of each job, those before it, and no more. */
import type { Kysely } from 'kysely';
import { expect } from 'vitest';
import { applyVersion, getJob } from '@runnel/control-plane/store/jobs.ts';
import {
  currentRollouts,
  putRollouts,
  type RolloutRow,
  rolloutsOf,
} from '@runnel/control-plane/store/rollouts.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { WithStore } from './store-contract.ts';

function row(rollout: string, more: Partial<RolloutRow> = {}): RolloutRow {
  return {
    ...{ rollout, job: 'press', version: 1, phase: 'progressing', current: true },
    ...{ startedAt: 1, endedAt: null, state: `state of ${rollout}` },
    ...more,
  };
}

/** Two versions of the job, of which the second is to run. */
async function twoVersions(db: Kysely<Schema>): Promise<void> {
  for (const [hash, kind] of [
    ['h1', 'BatchJob'],
    ['h2', 'StreamJob'],
  ] as const) {
    const document = JSON.stringify({ kind, hash });
    const version = { name: 'press', kind, hash, document, source: '', createdBy: 'token:t1' };
    await applyVersion(db, version, 1);
  }
}

export function rolloutsContract(withStore: WithStore): void {
  withStore('a rollout that is there changes, and the newer one takes its place', async (db) => {
    await putRollouts(db, [row('r1'), row('other', { job: 'bore' })]);
    await putRollouts(db, [row('r1', { state: 'changed' })]);
    expect(await currentRollouts(db)).toEqual(['state of other', 'changed']);
    await putRollouts(db, [row('r1', { current: false, endedAt: 2 }), row('r2')]);
    expect(await currentRollouts(db)).toEqual(['state of other', 'state of r2']);
    expect(await rolloutsOf(db, 'press')).toEqual(['state of r2', 'state of r1']);
    expect(await rolloutsOf(db, 'nobody')).toEqual([]);
  });

  withStore('only the newest rollouts of a job are kept, and each of another', async (db) => {
    const kept = limits.rolloutsPerJobMax;
    await putRollouts(db, [row('other', { job: 'bore' })]);
    const rows = Array.from({ length: kept + 3 }, (_, n) => row(`r${n}`, { current: false }));
    await putRollouts(db, rows);
    const states = await rolloutsOf(db, 'press');
    expect(states).toHaveLength(kept);
    expect(states.at(0)).toBe(`state of r${kept + 2}`);
    expect(states.at(-1)).toBe('state of r3');
    expect(await rolloutsOf(db, 'bore')).toEqual(['state of other']);
  });

  withStore('going back makes the version current, with the kind that it had', async (db) => {
    await twoVersions(db);
    const current = { job: 'press', version: 1, now: 9 };
    await putRollouts(db, [row('r1')], current);
    const back = { version: 1, kind: 'BatchJob', generation: 3, updatedAt: 9 };
    expect(await getJob(db, 'press')).toMatchObject(back);
    await putRollouts(db, [row('r1')], { ...current, now: 10 });
    expect(await getJob(db, 'press'), 'again is no change').toMatchObject(back);
  });

  withStore('what follows from a rollout is not stored without it', async (db) => {
    await twoVersions(db);
    const broken = { ...row('r2'), state: null as unknown as string };
    const current = { job: 'press', version: 1, now: 9 };
    await expect(putRollouts(db, [row('r1'), broken], current)).rejects.toThrow();
    expect(await rolloutsOf(db, 'press')).toEqual([]);
    expect(await getJob(db, 'press')).toMatchObject({ version: 2 });
  });
}
