/** Rows that wait for local sinks: exactly once into files, however the process dies (I2). */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import { FileSink } from '@runnel/agent/sinks/file.ts';
import { type DeliveryRow, RejectedRows, type Sink } from '@runnel/agent/sinks/sink.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ManualClock } from '../streams/manual-clock.ts';
import { definition, FILE, Fate, openDelivery, outPath } from './delivery-site.ts';
import { openTestStore } from './open-test-store.ts';

const linesOf = (dataDir: string): number[] =>
  existsSync(outPath(dataDir))
    ? readFileSync(outPath(dataDir), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((line) => (JSON.parse(line) as { value: number }).value)
    : [];

const fileSink = (): Sink => new FileSink('out.jsonl', new Set());

/** A sink of a test: keeps what it takes, refuses what it is told to. */
class ScriptedSink implements Sink {
  readonly kind = 'mqtt';
  readonly batches: unknown[][] = [];
  readonly ids: string[] = [];
  opens = 0;
  deliveries = 0;
  refuse: (rows: readonly DeliveryRow[]) => Error | undefined = () => undefined;

  async open(): Promise<void> {
    this.opens++;
  }

  async deliver(rows: readonly DeliveryRow[]): Promise<unknown> {
    this.deliveries++;
    const error = this.refuse(rows);
    if (error !== undefined) throw error;
    this.batches.push(rows.map(({ output }) => output.value));
    this.ids.push(...rows.map(({ id }) => id));
    return null;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** Delivers 1…9 in three commits, dying at the given moment of the first life. */
async function liveAndDie(diesAt: number): Promise<{ fate: Fate; dataDir: string }> {
  const store = openTestStore();
  const dataDir = tempDir('delivery');
  const fate = new Fate(diesAt);
  const first = openDelivery({ store, dataDir, makeSink: fileSink, fate });
  const script = async (): Promise<void> => {
    for (const from of [1, 4, 7]) {
      await first.put(from, from + 1, from + 2);
      await waitFor('delivery', () => fate.isDead || first.delivery.depth().rows === 0);
    }
  };
  await Promise.race([script(), fate.death]);
  await first.end();

  // What no commit held comes again from its source.
  const second = openDelivery({ store, dataDir, makeSink: fileSink, epoch: 'e2' });
  const committed = await waitFor('what was committed', async () => {
    const lines = linesOf(dataDir).length;
    return second.delivery.depth().rows === 0 ? [lines] : undefined;
  });
  for (let from = (committed[0] ?? 0) + 1; from <= 9; from += 3) {
    await second.put(from, from + 1, from + 2);
  }
  await waitFor('all', () => linesOf(dataDir).length >= 9);
  await waitFor('the mark', () => second.delivery.depth().rows === 0);
  await second.end();
  return { fate, dataDir };
}

describe('a file sink behind its lane', () => {
  it('gets every row exactly once, whenever the process dies', async () => {
    const { fate } = await liveAndDie(Infinity);
    expect(fate.moments.length).toBeGreaterThan(15);
    const died = new Set<string>();
    for (let moment = 1; moment <= fate.moments.length; moment++) {
      const life = await liveAndDie(moment);
      died.add(life.fate.moments.at(-1) ?? '');
      const where = `died ${moment}: ${life.fate.moments.join(', ')}`;
      expect(linesOf(life.dataDir), where).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    expect(died.size).toBe(5);
  }, 60_000);
});

describe('a sink that a job loses and gets back', () => {
  it('gives no id a second time, and a file keeps what it got before', async () => {
    const dataDir = tempDir('delivery');
    const site = openDelivery({ store: openTestStore(), dataDir, makeSink: fileSink });
    onTestFinished(() => site.end());
    await site.put(1, 2);
    await waitFor('the mark', () => site.delivery.depth().rows === 0);
    site.delivery.configure('job', []);
    await site.commit();
    site.delivery.configure('job', [{ to: 'local', definition, urgent: false }]);
    await site.put(3, 4);
    await waitFor('the mark', () => site.delivery.depth().rows === 0);
    expect(linesOf(dataDir)).toEqual([1, 2, 3, 4]);
  });
});

describe('a row that its sink refuses', () => {
  it('goes to the dead letters alone; the others are delivered together, in order', async () => {
    const sink = new ScriptedSink();
    sink.refuse = (rows) => {
      const bad = rows.find(({ output }) => output.value === 3 || output.value === 5);
      return bad === undefined ? undefined : new RejectedRows([bad], new Error('no topic'));
    };
    const store = openTestStore();
    const site = openDelivery({ store, dataDir: tempDir(), makeSink: () => sink });
    onTestFinished(() => site.end());
    await site.put(1, 2, 3, 4, 5, 6);
    await waitFor('delivery', () => site.delivery.depth().rows === 0);
    expect(sink.batches).toEqual([[1, 2, 4, 6]]);
    expect(sink.opens).toBe(1);
    expect(site.deadLetters.list({ limit: 9 })).toMatchObject([
      { reason: 'sink_refused', message: 'file: no topic', payload: expect.stringMatching(/:3,/) },
      { reason: 'sink_refused', payload: expect.stringMatching(/:5,/) },
    ]);
    await site.put(7);
    await waitFor('the next', () => sink.batches.length === 2);
    expect(sink.ids.at(-1)).toMatch(/^agent1-e1-job\.0\.[0-9a-f]{16}-7$/);
  });

  it('is in the dead letters once, in the commit that passes over it', async () => {
    const sink = new ScriptedSink();
    sink.refuse = ([row]) => row && new RejectedRows([row], new Error('never'));
    const store = openTestStore();
    const fate = new Fate();
    const site = openDelivery({ store, dataDir: tempDir(), makeSink: () => sink, fate });
    await site.put(1);
    await waitFor('the letter', () => site.deadLetters.rows === 1);
    await waitFor('the mark', () => site.delivery.depth().rows === 0);
    expect(sink.batches).toEqual([]);
    await site.end();
  });

  it('takes all of its batch along when the sink does not say which', async () => {
    const sink = new ScriptedSink();
    sink.refuse = (rows) =>
      rows.length > 1 ? new RunnelError('bad_batch', 'no such exchange') : undefined;
    const site = openDelivery({ store: openTestStore(), dataDir: tempDir(), makeSink: () => sink });
    onTestFinished(() => site.end());
    await site.put(1, 2);
    await waitFor('the letters', () => site.delivery.depth().rows === 0);
    expect(site.deadLetters.rows).toBe(2);
    await site.put(3);
    await waitFor('the next', () => sink.batches.length === 1);
  });
});

describe('a sink that is down', () => {
  it('is tried five times, then probed, over a restart too, and loses nothing', async () => {
    const clock = new ManualClock(1_000_000);
    const sink = new ScriptedSink();
    let down = true;
    sink.refuse = () =>
      down ? new RunnelError('away', 'away', { retry: 'reconnect' }) : undefined;
    const store = openTestStore();
    const dataDir = tempDir();
    const makeSink = (): Sink => sink;
    const first = openDelivery({ store, dataDir, makeSink, clock });
    await first.put(1, 2);
    await waitFor('the circuit to open', async () => {
      clock.pass(100);
      return first.conditions.list()[0]?.reason === 'SinkDown';
    });
    expect(sink.deliveries).toBe(5);
    // The breaker is stored by whichever commit comes next.
    await first.put(3);
    await first.end();

    const second = openDelivery({ store, dataDir, makeSink, clock, epoch: 'e2' });
    onTestFinished(() => second.end());
    clock.pass(2000);
    await second.commit();
    expect(sink.deliveries, 'a target that is down is not hammered').toBe(5);
    down = false;
    await waitFor('the probe', async () => {
      clock.pass(100);
      return second.delivery.depth().rows === 0;
    });
    expect(sink.batches).toEqual([[1, 2, 3]]);
    expect(sink.deliveries).toBe(6);
    expect(sink.ids.every((id) => id.startsWith('agent1-e1-'))).toBe(true);
    expect(second.conditions.list()).toEqual([]);
  });

  it('drops the oldest rows beyond its bound, counted, and never those in flight', async () => {
    const clock = new ManualClock(0);
    const sink = new ScriptedSink();
    let down = true;
    sink.refuse = () => (down ? new RunnelError('away', 'away', { retry: 'backoff' }) : undefined);
    const store = openTestStore();
    const site = openDelivery({
      ...{ store, dataDir: tempDir(), makeSink: () => sink, clock },
      laneBytesMax: 4000,
    });
    onTestFinished(() => site.end());
    const pad = 'x'.repeat(500);
    await site.put(`first${pad}`);
    await waitFor('a try', () => sink.deliveries > 0);
    for (let n = 0; n < 20; n++) await site.put(`${n}${pad}`);
    expect(site.conditions.list().map(({ reason }) => reason)).toContain('RowsDropped');
    down = false;
    await waitFor('delivery', async () => {
      clock.pass(100);
      return site.delivery.depth().rows === 0;
    });
    const delivered = sink.batches.flat().map((value) => String(value).slice(0, -500));
    expect(delivered[0]).toBe('first');
    expect(delivered.at(-1)).toBe('19');
    expect(delivered.length + site.delivery.lost).toBe(21);
    expect(site.delivery.lost).toBeGreaterThan(10);
    expect(site.conditions.list()).toEqual([]);
  });
});

describe('a sink that a job no longer has', () => {
  it('still gets what waits for it, and then its lane goes', async () => {
    const store = openTestStore();
    const dataDir = tempDir();
    const away = new ScriptedSink();
    away.refuse = () => new RunnelError('away', 'away', { retry: 'backoff' });
    const first = openDelivery({ store, dataDir, makeSink: () => away });
    await first.put(1, 2);
    await waitFor('a try', () => away.deliveries > 0);
    await first.end();
    const other = { ...FILE, config: { path: 'other.jsonl' } } as unknown as SinkDefinition;
    const second = openDelivery({
      store,
      dataDir,
      makeSink: fileSink,
      sinks: [other],
      epoch: 'e2',
    });
    onTestFinished(() => second.end());
    await waitFor('the old rows', () => linesOf(dataDir).length === 2);
    await waitFor('the end of the lane', async () => {
      await second.commit();
      return [...store.keys('outbox', {})].length === 0;
    });
  });
});
