/** A store from before rollouts were kept is opened by this release. */
import { join } from 'node:path';
import Database from 'libsql';
import { Kysely, SqliteDialect } from 'kysely';
import { expect, it } from 'vitest';
import { rolloutItem } from '@runnel/control-plane/rollouts/rollout-reason.ts';
import { rolloutState } from '@runnel/control-plane/rollouts/rollout-record.ts';
import { lastGood } from '@runnel/control-plane/rollouts/rollout-state.ts';
import { applyVersion, deleteJob } from '@runnel/control-plane/store/jobs.ts';
import { up as first } from '@runnel/control-plane/store/migrations/0001-first.ts';
import { up as runs } from '@runnel/control-plane/store/migrations/0002-runs.ts';
import { up as queries } from '@runnel/control-plane/store/migrations/0003-run-queries.ts';
import { up as cancelling } from '@runnel/control-plane/store/migrations/0004-run-cancelling.ts';
import { type Dialect, openStore } from '@runnel/control-plane/store/open-store.ts';
import { currentRollouts } from '@runnel/control-plane/store/rollouts.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import { tempDir } from '../../support/temp-dir.ts';

const BEFORE = [first, runs, queries, cancelling];
const sqlite: Dialect = {
  name: 'sqlite',
  withSerialId: (table) => table.addColumn('id', 'integer', (c) => c.primaryKey().autoIncrement()),
};

/** With two jobs, of which one was deleted; the other has two versions. */
async function storeOfBefore(path: string): Promise<void> {
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: new Database(path) }) });
  const untyped = db as unknown as Kysely<{ schema_versions: { version: number } }>;
  await db.schema.createTable('schema_versions').addColumn('version', 'integer').execute();
  for (const [index, up] of BEFORE.entries()) {
    await up(db as unknown as Kysely<unknown>, sqlite);
    await untyped
      .insertInto('schema_versions')
      .values({ version: index + 1 })
      .execute();
  }
  for (const [name, hash] of [
    ['press', 'h1'],
    ['press', 'h2'],
    ['gone', 'h3'],
  ] as const) {
    const document = JSON.stringify({ kind: 'StreamJob', hash });
    const version = { name, kind: 'StreamJob', hash, document, source: '', createdBy: 'token:t' };
    await applyVersion(db, version, 7);
  }
  await deleteJob(db, 'gone', 8);
  await db.destroy();
}

it('what jobs run is good, so that the next version can go back to it', async () => {
  const path = join(tempDir('rollout-migration'), 'store.db');
  await storeOfBefore(path);
  const store = await openStore(path);
  const states = (await currentRollouts(store.db)).map(rolloutState);
  await store.close();
  expect(states).toHaveLength(1);
  const [state] = states;
  expect(lastGood(state!)).toBe(2);
  expect(rolloutItem(state!, 9)).toMatchObject({
    ...{ job: 'press', version: 2, phase: 'succeeded', batch: { n: 1, of: 1 }, endedAt: 7 },
    reason: 'it ran before rollouts were kept',
  });
});
