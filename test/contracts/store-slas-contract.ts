/** What every store must do with verdicts: lines of intervals without a gap, history, retention. */
import type { Kysely } from 'kysely';
import { expect } from 'vitest';
import { applyBlock } from '@runnel/control-plane/intake/apply-block.ts';
import { pageEvents } from '@runnel/control-plane/store/events.ts';
import { expireSlaIntervals } from '@runnel/control-plane/store/expire-rows.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import {
  openSlaIntervals,
  putSlaChanges,
  type SlaChangeRecord,
  slaHistory,
} from '@runnel/control-plane/store/slas.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { WithStore } from './store-contract.ts';

const OF = { line: 'own', job: 'rms', agent: 'a1', sla: 'fresh', kind: 'freshness' } as const;

function change(at: number, verdict: SlaChangeRecord['verdict'], more = {}): SlaChangeRecord {
  return { ...OF, judge: 'control-plane', verdict, cause: `since ${at}`, at, ...more };
}

async function put(db: Kysely<Schema>, ...changes: readonly SlaChangeRecord[]): Promise<void> {
  await db.transaction().execute((transaction) => putSlaChanges(transaction, changes));
}

function slaRow(seq: number, time: number, verdict: string | null, was: object | null): Row {
  const value = {
    ...{ sla: 'fresh', kind: 'freshness', verdict, was, target: '2m', cause: `c${seq}` },
    ...{ severity: 'error', message: `fresh is ${verdict}` },
  };
  return {
    ...{ seq, kind: 'event', job: 'rms', version: 1, step: '', dataset: 'sla', key: 'fresh' },
    ...{ windowStart: null, windowEnd: null, time, revision: 1, value, at: time },
  };
}

export function slasContract(withStore: WithStore): void {
  linesContract(withStore);
  toldContract(withStore);
}

function linesContract(withStore: WithStore): void {
  withStore(
    'a change of a verdict ends the interval before it, of its promise alone',
    async (db) => {
      await put(db, change(10, 'met'), change(10, 'met', { agent: 'a2' }), change(20, 'breached'));
      await put(db, change(30, 'met'), change(40, null, { agent: 'a2' }));
      const history = await slaHistory(db, 'own', { job: 'rms', since: 0, limit: 10 });
      expect(history.map(({ agent, verdict, from, to }) => [agent, verdict, from, to])).toEqual([
        ['a1', 'met', 10, 20],
        ['a2', 'met', 10, 40],
        ['a1', 'breached', 20, 30],
        ['a1', 'met', 30, null],
      ]);
      expect(await openSlaIntervals(db, 'own')).toMatchObject([{ agent: 'a1', from: 30 }]);
      expect(await openSlaIntervals(db, 'device')).toEqual([]);
    },
  );

  withStore('a history is of one agent or of the fleet, and reaches back to a time', async (db) => {
    await put(db, change(10, 'met'), change(20, 'breached'), change(30, 'met'));
    await put(db, change(10, 'met', { agent: null, sla: 'all', kind: 'completeness' }));
    const of = { job: 'rms', limit: 10 };
    expect(await slaHistory(db, 'own', { ...of, agent: 'a1', since: 20 })).toHaveLength(2);
    expect(await slaHistory(db, 'own', { ...of, agent: null, since: 0 })).toMatchObject([
      { agent: null, sla: 'all', kind: 'completeness', to: null },
    ]);
    const newest = await slaHistory(db, 'own', { ...of, sla: 'fresh', since: 0, limit: 1 });
    expect(newest).toMatchObject([{ from: 30 }]);
  });
}

function toldContract(withStore: WithStore): void {
  withStore('what a device tells of its promises is in its line once', async (db) => {
    const head = { v: 1, agent: 'a1', epoch: 'e1', lane: 'alerts', lost: 0 } as const;
    const rows = [
      slaRow(1, 100, 'met', null),
      slaRow(2, 200, 'breached', { verdict: 'met', since: 100 }),
      slaRow(3, 300, 'met', { verdict: 'breached', since: 200 }),
      { ...slaRow(4, 400, 'met', null), value: { sla: 7 } },
    ];
    const block = { ...head, after: 0, last: 4, rows };
    for (let sent = 0; sent < 2; sent++) {
      await db.transaction().execute((transaction) => applyBlock(transaction, block, 1000));
    }
    const history = await slaHistory(db, 'device', { job: 'rms', since: 0, limit: 10 });
    expect(history.map(({ verdict, from, to, cause }) => [verdict, from, to, cause])).toEqual([
      ['met', 100, 200, 'c1'],
      ['breached', 200, 300, 'c2'],
      ['met', 300, null, 'c3'],
    ]);
    // A promise that is kept from its beginning is no news.
    const events = await pageEvents(db, { limit: 10, type: 'sla' });
    expect(events.map(({ message }) => message).toSorted()).toEqual([
      'fresh is breached',
      'fresh is met',
      'sla',
    ]);
  });

  withStore('intervals that are over go by age and by number, those that last stay', async (db) => {
    for (const at of [10, 20, 30, 40]) await put(db, change(at, 'met'));
    await put(db, change(5, 'met', { agent: 'a2' }));
    const keep = { beforeMs: 25, rowsMax: 1e9 };
    expect(await expireSlaIntervals(db, keep, 10)).toMatchObject([{ reason: 'age' }]);
    const fewer = { beforeMs: 0, rowsMax: 1 };
    expect(await expireSlaIntervals(db, fewer, 10)).toMatchObject([
      { reason: 'rows' },
      { reason: 'rows' },
    ]);
    expect(await expireSlaIntervals(db, { beforeMs: 1e9, rowsMax: 0 }, 10)).toEqual([]);
    expect(await openSlaIntervals(db, 'own')).toHaveLength(2);
  });
}
