/** What every store must do with alerts, silences, receivers and what they were told. */
import type { Kysely } from 'kysely';
import { expect } from 'vitest';
import {
  alertById,
  type AlertRecord,
  alertsByIds,
  liveAlerts,
  pageAlerts,
  putAlerts,
} from '@runnel/control-plane/store/alerts.ts';
import { expireAlerts, expireHistory } from '@runnel/control-plane/store/expire-rows.ts';
import {
  allGroups,
  deleteGroup,
  pageNotifications,
  putGroup,
  putNotification,
} from '@runnel/control-plane/store/notifications.ts';
import {
  allReceivers,
  deleteReceiver,
  putReceiver,
  type ReceiverRecord,
  setReceiverOutcome,
} from '@runnel/control-plane/store/receivers.ts';
import type { Schema } from '@runnel/control-plane/store/schema.ts';
import {
  deleteEndedSilences,
  deleteSilence,
  insertSilence,
  silencesAt,
} from '@runnel/control-plane/store/silences.ts';
import type { WithStore } from './store-contract.ts';

const alert = (id: string, more: Partial<AlertRecord> = {}): AlertRecord => ({
  alert: id,
  fingerprint: `of ${id}`,
  source: 'device',
  severity: 'error',
  state: 'firing',
  title: `${id} is offline`,
  message: 'nothing was heard — 沉默',
  labels: { site: 'lyon', agent: id },
  agent: id,
  job: null,
  link: `/devices/${id}`,
  startedAt: 1_900_000_000_000,
  lastAt: 1_900_000_000_001,
  endedAt: null,
  count: 1,
  acknowledgedBy: null,
  silencedBy: null,
  ...more,
});

const ended = (id: string, endedAt: number, more: Partial<AlertRecord> = {}): AlertRecord =>
  alert(id, { state: 'resolved', endedAt, ...more });

async function put(db: Kysely<Schema>, ...records: readonly AlertRecord[]): Promise<void> {
  await db.transaction().execute((transaction) => putAlerts(transaction, records));
}

export function alertsContract(withStore: WithStore): void {
  alertRows(withStore);
  silenceRows(withStore);
  receiverRows(withStore);
  notificationRows(withStore);
}

function alertRows(withStore: WithStore): void {
  withStore('an alert is replaced as a whole but for where it came from', async (db) => {
    await put(db, alert('a1'));
    expect(await alertById(db, 'a1')).toEqual(alert('a1'));
    const later = alert('a1', {
      ...{ severity: 'warning', state: 'acknowledged', title: 't', message: 'm', labels: {} },
      ...{ link: '/l', lastAt: 5, endedAt: 6, count: 7, acknowledgedBy: 'x', silencedBy: 's' },
    });
    await put(db, later);
    expect(await alertById(db, 'a1')).toEqual(later);
    expect(await alertById(db, 'a2')).toBeUndefined();
  });

  withStore('of a fingerprint one is open at most, whoever writes it', async (db) => {
    await put(db, ended('a1', 10, { fingerprint: 'f' }), alert('a2', { fingerprint: 'f' }));
    await expect(put(db, alert('a3', { fingerprint: 'f' }))).rejects.toThrow(/unique/i);
    await put(db, ended('a2', 20, { fingerprint: 'f' }), alert('a3', { fingerprint: 'f' }));
    const live = await liveAlerts(db, 20);
    expect(live.map((each) => each.alert)).toEqual(['a2', 'a3']);
  });

  withStore('1,200 at once arrive, and are paged newest first by what is asked', async (db) => {
    const many = Array.from({ length: 1200 }, (_, at) => {
      const severity = at % 2 === 0 ? 'error' : 'warning';
      const job = at % 3 === 0 ? 'press' : null;
      return at < 1000 ? alert(`a${at}`, { severity, job }) : ended(`a${at}`, at, { severity });
    });
    await put(db, ...many);
    const names: string[] = [];
    let before: number | undefined;
    do {
      const page = await pageAlerts(db, {
        limit: 500,
        ...(before === undefined ? {} : { before }),
      });
      names.push(...page.items.map((each) => each.alert));
      before = page.next ?? undefined;
    } while (before !== undefined);
    expect(names).toEqual(many.map((each) => each.alert).toReversed());
    const count = async (asked: Omit<Parameters<typeof pageAlerts>[1], 'limit'>) =>
      (await pageAlerts(db, { ...asked, limit: 2000 })).items.length;
    expect(await count({ open: true })).toBe(1000);
    expect(await count({ state: 'resolved', severity: 'error' })).toBe(100);
    expect(await count({ job: 'press', source: 'device' })).toBe(334);
    expect(await count({ agent: 'a7' })).toBe(1);
    expect(await alertsByIds(db, ['a7', 'a1100', 'none'])).toHaveLength(2);
    expect(await alertsByIds(db, [])).toEqual([]);
  });

  withStore('resolved alerts go by age and by number, open ones stay', async (db) => {
    await put(db, alert('open'), ended('old', 10), ended('b', 30), ended('c', 40), ended('d', 50));
    expect(await expireAlerts(db, { beforeMs: 20, rowsMax: 1e9 }, 10)).toMatchObject([
      { reason: 'age' },
    ]);
    expect(await expireAlerts(db, { beforeMs: 0, rowsMax: 1 }, 1)).toMatchObject([
      { reason: 'rows' },
    ]);
    expect(await expireAlerts(db, { beforeMs: 0, rowsMax: 1 }, 10)).toHaveLength(1);
    expect(await expireAlerts(db, { beforeMs: 0, rowsMax: 1 }, 10)).toEqual([]);
    const left = (await pageAlerts(db, { limit: 10 })).items;
    expect(left.map((each) => each.alert)).toEqual(['d', 'open']);
  });
}

function silenceRows(withStore: WithStore): void {
  withStore('silences are those that have not ended, the first to end first', async (db) => {
    const silence = (id: string, until: number) => {
      return { id, selector: 'site=lyon', from: 1, until, comment: 'works', by: 'token:t' };
    };
    await insertSilence(db, silence('late', 1_900_000_000_000));
    await insertSilence(db, silence('soon', 20));
    await insertSilence(db, silence('over', 10));
    expect(await silencesAt(db, 10)).toEqual([
      silence('soon', 20),
      silence('late', 1_900_000_000_000),
    ]);
    await deleteEndedSilences(db, 20);
    expect(await silencesAt(db, 0)).toHaveLength(2);
    expect(await deleteSilence(db, 'soon')).toBe(true);
    expect(await deleteSilence(db, 'soon')).toBe(false);
  });
}

const receiver = (name: string, more: Partial<ReceiverRecord> = {}): ReceiverRecord => ({
  name,
  kind: 'webhook',
  selector: 'site=lyon',
  severity: 'warning',
  sendResolved: true,
  settings: { url: 'http://x/' },
  secrets: { secret: 's' },
  lastSentAt: null,
  lastError: null,
  ...more,
});

function receiverRows(withStore: WithStore): void {
  withStore('a receiver is set, told of, and goes with what it was told', async (db) => {
    await putReceiver(db, receiver('b'));
    await putReceiver(db, receiver('a'));
    const changed = receiver('b', { kind: 'slack', sendResolved: false, severity: 'error' });
    await putReceiver(db, changed);
    expect(await allReceivers(db)).toEqual([receiver('a'), changed]);
    const outcome = { lastSentAt: 1_900_000_000_000, lastError: 'x answered 500' };
    await setReceiverOutcome(db, { name: 'a', ...outcome });
    expect((await allReceivers(db))[0]).toEqual(receiver('a', outcome));
    await putGroup(db, { receiver: 'a', key: 'k', state: '{}' });
    await putGroup(db, { receiver: 'b', key: 'k', state: '{}' });
    expect(await deleteReceiver(db, 'a')).toBe(true);
    expect(await deleteReceiver(db, 'a')).toBe(false);
    expect(await allGroups(db)).toEqual([{ receiver: 'b', key: 'k', state: '{}' }]);
  });

  withStore('the state of a group is the last that was put', async (db) => {
    const group = { receiver: 'a', key: '["device","",""]' };
    await putGroup(db, { ...group, state: '1' });
    await putGroup(db, { ...group, state: '2' });
    await putGroup(db, { ...group, receiver: 'b', state: '3' });
    await deleteGroup(db, { ...group, receiver: 'b' });
    expect(await allGroups(db)).toEqual([{ ...group, state: '2' }]);
  });
}

function notificationRows(withStore: WithStore): void {
  withStore('the log says what became of each notification, and forgets the oldest', async (db) => {
    const sent = (id: string, at: number, to = 'a') => {
      const told = { alerts: ['x'], outcome: 'retrying', attempts: 1, error: 'no' } as const;
      return { id, receiver: to, at, ...told };
    };
    for (const at of [1, 2, 3]) await putNotification(db, sent(`n${at}`, at));
    await putNotification(db, sent('other', 4, 'b'));
    const done = { ...sent('n1', 1), outcome: 'sent', attempts: 2, error: null } as const;
    await putNotification(db, done);
    const first = await pageNotifications(db, { receiver: 'a', limit: 2 });
    expect(first.items.map(({ id }) => id)).toEqual(['n3', 'n2']);
    const rest = await pageNotifications(db, { receiver: 'a', limit: 2, before: first.next! });
    expect(rest).toEqual({ items: [done], next: null });
    const gone = await expireHistory(db, 'notifications', { beforeMs: 2, rowsMax: 2 }, 10);
    expect(gone).toMatchObject([{ reason: 'age' }, { reason: 'rows' }]);
    expect((await pageNotifications(db, { limit: 10 })).items).toHaveLength(2);
  });
}
