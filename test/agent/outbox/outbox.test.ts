/** Corners of the outbox that have a story of their own; the rest is in outbox.property.test.ts. */
import { describe, expect, it } from 'vitest';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { encodeVersioned } from '@runnel/agent/checkpoints/store-layout.ts';
import { DeadLetters } from '@runnel/agent/outbox/dead-letters.ts';
import { Outbox } from '@runnel/agent/outbox/outbox.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Lane } from '@runnel/shared/protocol/results.ts';
import { Committer, openTestStore } from './open-test-store.ts';

interface Opened {
  readonly outbox: Outbox;
  readonly conditions: Conditions;
  readonly letters: DeadLetters;
  readonly put: (lane: Lane, ...values: unknown[]) => Promise<void>;
}

function open(store: CheckpointStore, epoch: string, bytesMax = 1e9): Opened {
  const committer = new Committer(store);
  const commit = () => committer.commit();
  const conditions = new Conditions(systemClock);
  const letters = new DeadLetters(store, 10);
  const outbox = new Outbox({
    store,
    agent: 'agent1',
    epoch,
    bytesMax,
    conditions,
    unsendable: (row, bytes) => letters.addUnsendable(row, bytes),
    commit,
  });
  committer.use(outbox, letters);
  return {
    outbox,
    conditions,
    letters,
    async put(lane, ...values) {
      for (const value of values) outbox.add(lane, JSON.stringify({ value }));
      await commit();
    },
  };
}

const valuesOf = (outbox: Outbox, lane: Lane): unknown[] | undefined =>
  outbox.next(lane)?.rows.map(({ value }) => value);

describe('a control plane that was restored from a backup', () => {
  it('is told what is gone on both sides, once, and gets what is left', async () => {
    const { outbox, put } = open(openTestStore(), 'e1');
    await put('results', 1, 2, 3, 4);
    outbox.next('results');
    await outbox.acknowledge('e1', 'results', 3);
    // Its mark is older than what it had acknowledged.
    await outbox.acknowledge('e1', 'results', 1);
    await outbox.acknowledge('e1', 'results', 1);
    expect(outbox.next('results')).toMatchObject({
      after: 1,
      last: 4,
      lost: 2,
      rows: [{ seq: 4 }],
    });
    expect(outbox.gapRows).toBe(2);
    await outbox.acknowledge('e1', 'results', 4);
    expect(outbox.next('results')).toBeUndefined();
  });
});

describe('a device whose disk was restored from a backup', () => {
  it('deletes what the control plane already has of an earlier epoch', async () => {
    const store = openTestStore();
    await open(store, 'e1').put('results', 'a', 'b');
    const { outbox, put } = open(store, 'e2');
    await put('results', 'c');
    expect(valuesOf(outbox, 'results')).toEqual(['a', 'b']);
    // The epoch had gone on to 5,000 on the disk that was lost.
    await outbox.acknowledge('e1', 'results', 5000);
    expect(valuesOf(outbox, 'results')).toEqual(['c']);
  });

  it('refuses a mark beyond what this process has sent in its own epoch', async () => {
    const { outbox, put } = open(openTestStore(), 'e1');
    await put('results', 'a');
    outbox.next('results');
    await put('results', 'b');
    await expect(outbox.acknowledge('e1', 'results', 2)).rejects.toThrow(/beyond 1/);
    expect(valuesOf(outbox, 'results')).toEqual(['a', 'b']);
  });

  it('may not go on in an epoch that is in the store', async () => {
    const store = openTestStore();
    await open(store, 'e1').put('results', 'a');
    expect(() => open(store, 'e1')).toThrow(/already in the outbox/);
  });
});

describe('an outbox that is full', () => {
  it('drops the least urgent jobs first, and counts by lane and reason', async () => {
    const { outbox, put } = open(openTestStore(), 'e1', 4000);
    const row = (priority: number, chars: number): void =>
      outbox.addOf({ job: `of-${priority}`, priority }, JSON.stringify({ pad: 'x'.repeat(chars) }));
    for (const priority of [-1, 7, 0]) {
      row(priority, 1000);
      await put('alerts');
    }
    row(0, 3 * limits.outboxRowBytesMax);
    row(7, 1000);
    await put('alerts');
    expect(outbox.next('bulk')).toMatchObject({ last: 1, lost: 1, rows: [] });
    row(7, 1000);
    await put('alerts');
    expect(outbox.next('results')).toMatchObject({ last: 2, lost: 2, rows: [] });
    expect(outbox.next('urgent')).toMatchObject({ last: 3, lost: 0 });
    expect(outbox.lost.counters()).toEqual({
      outbox_rows_lost: 3,
      outbox_rows_lost_bulk_overflow: 1,
      outbox_rows_lost_results_overflow: 1,
      outbox_rows_lost_results_too_large: 1,
    });
  });

  it('drops no urgent row that is in flight, and bulk though it came later', async () => {
    const { outbox, put } = open(openTestStore(), 'e1', 3000);
    const pad = 'x'.repeat(1000);
    await put('urgent', `1${pad}`, `2${pad}`);
    outbox.next('urgent');
    await put('bulk', `3${pad}`);
    await put('urgent', `4${pad}`);
    expect(outbox.next('bulk')).toMatchObject({ lost: 1, rows: [] });
    await put('urgent', `5${pad}`);
    await put('urgent');
    const { lost, rows } = outbox.next('urgent')!;
    expect(rows.map(({ seq }) => seq).slice(0, 2)).toEqual([1, 2]);
    expect(lost).toBeGreaterThan(0);
  });

  it('drops bulk before results before alerts', async () => {
    const { outbox, conditions, put } = open(openTestStore(), 'e1', 4000);
    const pad = 'x'.repeat(1000);
    await put('alerts', `1${pad}`);
    await put('results', `2${pad}`);
    await put('bulk', `3${pad}`);
    await put('results', `4${pad}`);
    expect(outbox.next('bulk')).toMatchObject({ after: 0, last: 1, lost: 1, rows: [] });
    await put('alerts', `5${pad}`);
    await put('alerts', `6${pad}`);
    expect(outbox.next('results')).toMatchObject({ lost: 2, rows: [] });
    expect(outbox.next('alerts')?.rows).toHaveLength(3);
    expect(outbox.depth().lost).toBe(3);
    expect(outbox.lost.rows).toBe(3);
    expect(conditions.list()).toMatchObject([{ type: 'outbox', reason: 'RowsDropped' }]);
    await outbox.acknowledge('e1', 'alerts', 3);
    expect(conditions.list()).toEqual([]);
  });
});

describe('a lane whose record is wrong', () => {
  it('is counted anew, and goes on with its rows', async () => {
    const store = openTestStore();
    await open(store, 'e1').put('results', 'a', 'b', 'c');
    const key = ['lane', 'rows', 1, 'results'];
    const wrong = { mark: 0, next: 2, rows: 9, bytes: 1, lost: 5, lostTotal: 0, extra: null };
    await store.commit((tx) => tx.put('outbox', key, encodeVersioned(1, wrong)));
    const { outbox } = open(store, 'e2');
    expect(await outbox.recount(false)).toEqual({ checked: 8, wrong: 1 });
    expect(outbox.depth().rows).toBe(9);
    expect(await outbox.recount(true)).toEqual({ checked: 8, wrong: 1 });
    expect(await outbox.recount(true)).toEqual({ checked: 8, wrong: 0 });
    expect(outbox.depth().rows).toBe(3);
    expect(outbox.next('results')).toMatchObject({ last: 3, lost: 0 });
    await outbox.acknowledge('e1', 'results', 3);
    expect(outbox.depth()).toMatchObject({ rows: 0, bytes: 0 });
  });
});

describe('a block', () => {
  it('stays within rows and bytes as it goes over the wire, in any script', async () => {
    const { outbox, put } = open(openTestStore(), 'e1');
    await put('results', ...Array.from({ length: 3000 }, (_, n) => `${n}${'漢'.repeat(n % 90)}`));
    await put('bulk', ...Array.from({ length: 5000 }, (_, n) => n));
    let rows = 0;
    for (let block = outbox.next('results'); block; block = outbox.next('results')) {
      const bytes = Buffer.byteLength(JSON.stringify(block));
      expect(bytes).toBeLessThanOrEqual(limits.resultBlockBytesMax);
      rows += block.rows.length;
      await outbox.acknowledge('e1', 'results', block.last);
    }
    expect(rows).toBe(3000);
    expect(outbox.next('bulk')?.rows).toHaveLength(limits.resultBlockRowsMax);
  });

  it('holds a row that is larger than a block by itself', async () => {
    const { outbox, put } = open(openTestStore(), 'e1');
    const large = 'x'.repeat(limits.resultBlockBytesMax + 1);
    await put('results', 1, large, 3);
    expect(valuesOf(outbox, 'results')).toEqual([1]);
    await outbox.acknowledge('e1', 'results', 1);
    expect(valuesOf(outbox, 'results')).toEqual([large]);
    await outbox.acknowledge('e1', 'results', 2);
    expect(valuesOf(outbox, 'results')).toEqual([3]);
  });
});

describe('a row that no message holds', () => {
  it('goes to the dead letters, is declared lost, and those behind it go on', async () => {
    const store = openTestStore();
    const { letters, outbox, put } = open(store, 'e1');
    const large = 'ü'.repeat(limits.outboxRowBytesMax / 2);
    outbox.add('results', JSON.stringify({ value: 1 }));
    outbox.add('results', JSON.stringify({ job: 'j', version: 3, kind: 'result', value: large }));
    await put('results', 3);
    expect(outbox.next('results')).toMatchObject({
      after: 0,
      last: 3,
      lost: 1,
      rows: [
        { seq: 1, value: 1 },
        { seq: 3, value: 3 },
      ],
    });
    expect(letters.list({ limit: 10 })).toMatchObject([{ job: 'j', reason: 'row_too_large' }]);
    expect(outbox.lost.rows).toBe(1);
    await outbox.acknowledge('e1', 'results', 3);
    expect(outbox.next('results')).toBeUndefined();
    expect(outbox.depth()).toMatchObject({ rows: 0, bytes: 0, lost: 1 });
  });

  it('is lost by itself, too, and is not what a full message holds', async () => {
    const { outbox, put } = open(openTestStore(), 'e1');
    const head = JSON.stringify({ value: '' }).length;
    await put('results', 'x'.repeat(limits.outboxRowBytesMax - head + 1));
    expect(outbox.next('results')).toMatchObject({ after: 0, last: 1, lost: 1, rows: [] });
    await outbox.acknowledge('e1', 'results', 1);
    await put('results', 'x'.repeat(limits.outboxRowBytesMax - head));
    const block = outbox.next('results')!;
    expect(block).toMatchObject({ after: 1, last: 2, lost: 0, rows: [{ seq: 2 }] });
    expect(Buffer.byteLength(JSON.stringify(block))).toBeLessThan(limits.natsPayloadBytesMax);
  });
});
