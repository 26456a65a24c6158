/** What the journal keeps, and for how long (DESIGN.md §6.3). */
import { describe, expect, it } from 'vitest';
import { BlockWriter } from '@runnel/agent/journal/block-writer.ts';
import { Journal, type JournalBudget } from '@runnel/agent/journal/journal.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openTestStore } from '../outbox/open-test-store.ts';
import { compileCount, desired } from '../streams/counting-job.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { openSite, type Site } from '../streams/site.ts';

const HOUR_MS = 3_600_000;

function openJournal(budget: JournalBudget, store = openTestStore()) {
  const journal = new Journal(store, budget);
  return {
    store,
    journal,
    /** One commit with one block of ten records of 100 bytes. */
    append: async (runMs = 0, keepFrom = Infinity): Promise<void> => {
      const writer = new BlockWriter(journal.nextBlock);
      for (let n = 0; n < 10; n++) writer.record('s', 't', Buffer.alloc(100), undefined, 1000);
      await store.commit((tx) => {
        journal.append(tx, [writer], runMs);
        journal.trim(tx, keepFrom);
      });
      journal.committed();
    },
  };
}

describe('retention', () => {
  it('by bytes drops the oldest blocks and counts their records', async () => {
    const { journal, append, store } = openJournal({ bytesMax: 10_000, ageMsMax: Infinity });
    for (let n = 0; n < 50; n++) await append();
    expect(journal.bytes).toBeLessThanOrEqual(10_000 + 1200);
    expect(journal.recordsTotal).toBe(500);
    const kept = [...store.keys('journal', {})] as number[];
    expect(kept[0]).toBe(journal.firstOffset.block);
    expect(journal.recordsDropped).toBe(500 - kept.length * 10);
    expect(journal.read(1)).toBeUndefined();
  });

  it('by running time drops what is older, never the last block', async () => {
    const { journal, append } = openJournal({ bytesMax: Infinity, ageMsMax: 10 * HOUR_MS });
    for (let hour = 0; hour < 24; hour++) await append(hour * HOUR_MS);
    expect(journal.firstOffset.block).toBe(14);
    await append(1000 * HOUR_MS);
    expect(journal.firstOffset.block).toBe(25);
  });

  it('keeps what a job needs that may not skip, and says that it is blocked', async () => {
    const { journal, append } = openJournal({ bytesMax: 5000, ageMsMax: Infinity });
    for (let n = 0; n < 20; n++) await append(0, 3);
    expect(journal.firstOffset.block).toBe(3);
    expect(journal.isBlocked(3)).toBe(true);
    expect(journal.isBlocked(Infinity)).toBe(false);
  });

  it('goes on after a restart with the same numbers', async () => {
    const budget = { bytesMax: 10_000, ageMsMax: Infinity };
    const first = openJournal(budget);
    for (let n = 0; n < 30; n++) await first.append(n);
    const again = openJournal(budget, first.store).journal;
    for (const name of ['head', 'firstOffset', 'recordsTotal', 'recordsDropped'] as const) {
      expect(again[name], name).toEqual(first.journal[name]);
    }
    expect([again.bytes, again.runMs, again.now]).toEqual([first.journal.bytes, 29, 1000]);
  });
});

describe('what batch jobs read', () => {
  it('is kept as long as their history says, within the bytes', async () => {
    const { journal, append } = openJournal({ bytesMax: Infinity, ageMsMax: 2 * HOUR_MS });
    journal.keepMs(10 * HOUR_MS);
    for (let hour = 0; hour < 24; hour++) await append(hour * HOUR_MS);
    expect(journal.firstOffset.block).toBe(14);
    journal.keepMs(0);
    await append(24 * HOUR_MS);
    expect(journal.firstOffset.block).toBe(23);
  });

  it('is complete since ever, until something was dropped', async () => {
    const { journal, append } = openJournal({ bytesMax: 5000, ageMsMax: Infinity });
    await append();
    expect(journal.completeFromMs).toBe(-Infinity);
    for (let n = 0; n < 20; n++) await append();
    // A record of the first millisecond that is kept may be among those dropped.
    expect(journal.completeFromMs).toBe(1001);
  });

  it('goes when it is purged, as far as jobs have read it', async () => {
    const { journal, append } = openJournal({ bytesMax: Infinity, ageMsMax: Infinity });
    for (let n = 0; n < 9; n++) await append();
    journal.purge(1000, 5);
    await append();
    expect(journal.firstOffset.block).toBe(1);
    journal.purge(1001, 5);
    await append();
    expect(journal.firstOffset.block).toBe(5);
  });

  it('stays when it is purged, as far back as their history reaches', async () => {
    const { journal, append } = openJournal({ bytesMax: Infinity, ageMsMax: Infinity });
    expect(journal.historyFromMs).toBe(Infinity);
    for (let n = 0; n < 9; n++) await append();
    journal.keepMs(10);
    expect(journal.historyFromMs).toBe(990);
    journal.purge(Infinity, Infinity);
    await append();
    expect(journal.firstOffset.block).toBe(1);
    journal.keepMs(0);
    await append();
    expect(journal.firstOffset.block).toBeGreaterThan(1);
  });
});

const total = (site: Site): number => site.runtime.journal.recordsTotal;

describe('a clock that jumps', () => {
  it('from 1970 to now drops nothing, and back does not turn time back', async () => {
    const clock = new ManualClock(5000);
    const budgets = { pace: { commitsPerSecond: 1e9, burst: 1e9 }, journalAgeMsMax: HOUR_MS };
    const site = await openSite({ clock, budgets });
    const { journal } = site.runtime;
    await site.runtime.applyJobs([desired('a')]);
    for (const setTo of [5000, 1_790_000_000_000, 1000]) {
      clock.set(setTo);
      for (let n = 0; n < 10; n++) {
        site.source().give({ payload: { v: 1 } });
        await site.settled();
      }
    }
    expect(journal.firstOffset.block).toBe(1);
    const nows: number[] = [];
    for (let block = 1; block < journal.nextBlock; block++) {
      nows.push(journal.read(block)?.header.nowLast ?? 0);
    }
    expect(nows).toEqual(nows.toSorted((a, b) => a - b));
    expect(nows.at(-1)).toBe(1_790_000_000_000);
    // An hour of running time later the old blocks go.
    clock.pass(HOUR_MS + 1);
    site.source().give({ payload: { v: 1 } });
    await site.settled();
    expect(journal.firstOffset.block).toBeGreaterThan(nows.length);
    expect(total(site)).toBe(31);
  });
});

describe('a job that may not skip', () => {
  it('holds its sources back at the bound, loses nothing, and then goes on', async () => {
    const site = await openSite({ budgets: { journalBytesMax: 100_000 } });
    const job = desired('a', 1, { onLag: 'block' });
    await site.runtime.applyJobs([{ ...job, paused: true }]);
    const pad = 'x'.repeat(1000);
    const source = site.source();
    await waitFor('the source to be held back', () => {
      if (!source.paused) source.give({ payload: { v: 1, pad } });
      return source.paused && source.acknowledged === total(site);
    });
    const held = total(site);
    expect(site.runtime.counters()['journal_bytes']).toBeLessThan(300_000);
    source.give(...Array.from({ length: 500 }, () => ({ payload: { v: 1, pad } })));
    expect(source.acknowledged).toBe(held);
    await site.runtime.applyJobs([job]);
    await site.settled();
    await waitFor('it to catch up', () => site.runtime.jobReports()[0]?.phase === 'running');
    const [report] = site.runtime.jobReports();
    expect(report).toMatchObject({ recordsIn: source.origin.length, dropped: {} });
  }, 60_000);

  it('does not hold back the sources of others', async () => {
    const site = await openSite({ budgets: { journalBytesMax: 100_000 } });
    const blocking = { ...desired('a', 1, { onLag: 'block' }), paused: true };
    await site.runtime.applyJobs([blocking, desired('b', 1, { source: 'other' })]);
    const pad = 'x'.repeat(1000);
    const source = site.source();
    await waitFor('the source to be held back', () => {
      if (!source.paused) source.give({ payload: { v: 1, pad } });
      return source.paused;
    });
    site.source('other').give({ payload: { v: 1 } });
    await waitFor('the other', () => site.source('other').acknowledged === 1);
  });
});

describe('state that is larger than its budget in memory', () => {
  it('is read again from disk, and comes out right', async () => {
    const compile = compileCount;
    const site = await openSite({ compile, budgets: { stateBytesMax: 50_000 } });
    await site.runtime.applyJobs([desired('a')]);
    for (let round = 0; round < 4; round++) {
      const keys = Array.from({ length: 2000 }, (_, k) => ({ payload: { k: `key-${k}`, v: k } }));
      site.source().give(...keys);
      await site.settled();
      expect(site.runtime.counters()['state_cache_bytes']).toBeLessThan(60_000);
    }
    const rows = await site.take();
    const last = new Map(rows.map(({ key, value }) => [key, value]));
    expect(last.size).toBe(2000);
    for (let k = 0; k < 2000; k++) expect(last.get(`key-${k}`)).toEqual({ n: 4, sum: 4 * k });
    expect(site.runtime.jobReports()).toMatchObject([{ stateKeys: 2000 }]);
  });
});
