/** Lanes and marks: the store holds exactly the rows, whatever the network does to the blocks. */
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ApplyBlock, applyBlock, moveMark } from '@runnel/control-plane/intake/apply-block.ts';
import { BlockWriter } from '@runnel/control-plane/intake/block-writer.ts';
import { IntakeCounters } from '@runnel/control-plane/intake/intake-counters.ts';
import { type Store, openStore } from '@runnel/control-plane/store/open-store.ts';
import { pageResults } from '@runnel/control-plane/store/results.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import type { ResultBlock, Row } from '@runnel/shared/protocol/results.ts';
import { tempDir } from '../../support/temp-dir.ts';

function rowOf(seq: number, extra: Partial<Row> = {}): Row {
  return {
    seq,
    kind: 'result',
    job: 'rms',
    version: 1,
    step: 'avg',
    dataset: 'rms',
    key: `k${seq % 3}`,
    windowStart: 0,
    windowEnd: 10,
    time: 9,
    revision: 1,
    value: { n: seq },
    at: 9,
    ...extra,
  };
}

function blockOf(after: number, last: number, extra: Partial<ResultBlock> = {}): ResultBlock {
  const rows = Array.from({ length: last - after }, (_, index) => rowOf(after + 1 + index));
  return { v: 1, agent: 'a1', epoch: 'e1', lane: 'results', after, last, lost: 0, rows, ...extra };
}

async function memoryStore(): Promise<Store> {
  const store = await openStore(':memory:');
  onTestFinished(() => store.close());
  return store;
}

const applyTo = (store: Store, block: ResultBlock, apply: ApplyBlock = applyBlock) =>
  store.db.transaction().execute((transaction) => apply(transaction, block, 1000));

async function seqs(store: Store, lane = 'results'): Promise<number[]> {
  const rows = await store.db
    .selectFrom('results')
    .select('seq')
    .where('lane', '=', lane)
    .orderBy('id')
    .execute();
  return rows.map(({ seq }) => seq);
}

describe('a block', () => {
  it('that follows the mark is stored and moves it', async () => {
    const store = await memoryStore();
    expect(await applyTo(store, blockOf(0, 3))).toMatchObject({ mark: 3, outcome: 'applied' });
    expect(await applyTo(store, blockOf(3, 5))).toMatchObject({ mark: 5, outcome: 'applied' });
    expect(await seqs(store)).toEqual([1, 2, 3, 4, 5]);
  });

  it('that came before is answered with the mark and stores nothing', async () => {
    const store = await memoryStore();
    await applyTo(store, blockOf(0, 3));
    expect(await applyTo(store, blockOf(0, 3))).toMatchObject({ mark: 3, outcome: 'duplicate' });
    expect(await seqs(store)).toEqual([1, 2, 3]);
  });

  it('keeps keys in one spelling, so that latest knows them again', async () => {
    const store = await memoryStore();
    const rows = [
      rowOf(1, { key: { line: 1, site: 'lyon' } }),
      rowOf(2, { key: { site: 'lyon', line: 1 }, revision: 2 }),
    ];
    await applyTo(store, blockOf(0, 2, { rows }));
    const page = { kind: 'result', dataset: 'rms', after: 0, limit: 10, latest: true } as const;
    const { items } = await pageResults(store.db, page, () => Promise.resolve());
    expect(items.map(({ seq, key }) => [seq, key])).toEqual([[2, { line: 1, site: 'lyon' }]]);
  });

  it('of an event that is dated in the future counts as of now', async () => {
    const store = await memoryStore();
    const rows = [1, 5000].map((time, index) => rowOf(index + 1, { kind: 'event', time }));
    await applyTo(store, blockOf(0, 2, { rows }));
    const events = await store.db.selectFrom('events').select('at').orderBy('id').execute();
    expect(events).toEqual([{ at: 1 }, { at: 1000 }]);
  });

  it('that overlaps the mark adds only what is new', async () => {
    const store = await memoryStore();
    await applyTo(store, blockOf(0, 3));
    const applied = await applyTo(store, blockOf(1, 6));
    expect(applied).toMatchObject({ mark: 6, lost: 0 });
    expect(applied.rows.map(({ seq }) => seq)).toEqual([4, 5, 6]);
    expect(await seqs(store)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('adds to the rows that came again exactly those that are in the store', async () => {
    const store = await memoryStore();
    const counters = new IntakeCounters();
    const send = async (after: number, last: number): Promise<number> => {
      const block = blockOf(after, last);
      counters.block(block, await applyTo(store, block));
      return counters.rowsResent;
    };
    expect(await send(0, 3)).toBe(0);
    expect(await send(0, 3)).toBe(3);
    expect(await send(1, 6)).toBe(5);
    expect(await send(8, 9)).toBe(5);
  });

  it('with something missing before it stores nothing and says where to go on', async () => {
    const store = await memoryStore();
    await applyTo(store, blockOf(0, 3));
    expect(await applyTo(store, blockOf(5, 8))).toMatchObject({ mark: 3, outcome: 'gap' });
    expect(await seqs(store)).toEqual([1, 2, 3]);
  });

  it('declares what the outbox dropped, and it is counted once', async () => {
    const store = await memoryStore();
    const block = blockOf(0, 10, { lost: 7, rows: [rowOf(8), rowOf(9), rowOf(10)] });
    expect(await applyTo(store, block)).toMatchObject({ mark: 10, lost: 7 });
    await applyTo(store, block);
    const mark = await store.db.selectFrom('marks').selectAll().executeTakeFirstOrThrow();
    expect(mark).toMatchObject({ mark: 10, lost: 7 });
  });

  it('of another lane or epoch has a mark of its own', async () => {
    const store = await memoryStore();
    await applyTo(store, blockOf(0, 3));
    await applyTo(store, blockOf(0, 2, { lane: 'alerts' }));
    expect(await applyTo(store, blockOf(0, 1, { epoch: 'e2' }))).toMatchObject({ mark: 1 });
    expect(await seqs(store, 'alerts')).toEqual([1, 2]);
  });

  it('may not move a mark that another replica moved after it was read', async () => {
    const store = await memoryStore();
    await applyTo(store, blockOf(0, 3));
    const move = (from: number | undefined): Promise<boolean> =>
      store.db
        .transaction()
        .execute((transaction) => moveMark(transaction, blockOf(3, 5), from, 0, 1000));
    expect(await move(2)).toBe(false);
    expect(await move(undefined)).toBe(false);
    expect(await move(3)).toBe(true);
  });

  it('with events puts them among the events in the same commit', async () => {
    const store = await memoryStore();
    const value = { message: 'run failed', severity: 'error' };
    const rows = [rowOf(1, { kind: 'event', dataset: 'run', value, job: 'nightly' })];
    const block = blockOf(0, 1, { lane: 'bulk', rows });
    await applyTo(store, block);
    await applyTo(store, block);
    const events = await store.db.selectFrom('events').selectAll().execute();
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ type: 'run', message: 'run failed', severity: 'error' });
  });
});

/**
 * An agent as §6.4 has it: rows grow, a block goes out from what it believes is acknowledged, and
 * every copy of a block may be lost, doubled, or arrive much later; so may every answer. The
 * control plane restarts (a new writer over the same store) at any time.
 */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('rows' as const), n: fc.nat(4) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('send' as const), n: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const), n: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('redeliver' as const), n: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose' as const), n: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), n: fc.nat(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), n: fc.nat(2) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Outcome {
  readonly stored: number[];
  readonly expected: number[];
}

async function play(steps: readonly Step[], apply: ApplyBlock): Promise<Outcome> {
  const dir = tempDir('lanes');
  let store = await openStore(`${dir}/store.db`);
  let writer = new BlockWriter({ db: store.db, clock: systemClock, apply });
  let newest = 0;
  let acknowledged = 0;
  const dropped = new Set<number>();
  /** Dropped before the store had them. */
  const lost = new Set<number>();
  let flying: ResultBlock[] = [];
  const late: number[] = [];
  /** The answer to this copy; 0 when there is none. */
  const deliver = async (block: ResultBlock): Promise<number> =>
    await writer.write(block, 1).then(
      (applied) => applied.mark,
      () => 0,
    );
  const next = (rowsMax: number): ResultBlock => {
    const last = Math.min(newest, acknowledged + rowsMax);
    const all = blockOf(acknowledged, last);
    const rows = all.rows.filter(({ seq }) => !dropped.has(seq));
    return { ...all, rows, lost: all.rows.length - rows.length };
  };
  const acknowledge = (mark: number): void => {
    if (mark > acknowledged && mark <= newest) acknowledged = mark;
  };
  for (const { do: what, n } of steps) {
    if (what === 'rows') newest += n;
    if (what === 'send' && newest > acknowledged) flying.push(next(n + 1));
    if (what === 'drop' && flying.length === 0 && newest - n > acknowledged) {
      dropped.add(newest - n);
      // One whose answer is still on its way is in the store, whatever the agent thinks.
      if (!(await seqs(store)).includes(newest - n)) lost.add(newest - n);
    }
    const at = flying.length === 0 ? 0 : n % flying.length;
    const block = flying[at];
    if (what === 'deliver' && block !== undefined) {
      flying = flying.filter((_, index) => index !== at);
      const answer = await deliver(block);
      // The answer arrives, or is lost and arrives when nobody waits for it any more.
      if (n % 3 === 0) late.push(answer);
      else acknowledge(n % 3 === 1 ? answer : (late.shift() ?? answer));
    }
    if (what === 'redeliver' && block !== undefined) await deliver(block);
    if (what === 'lose') flying = flying.filter((_, index) => index !== at);
    if (what === 'restart') {
      await writer.settled();
      await store.close();
      store = await openStore(`${dir}/store.db`);
      writer = new BlockWriter({ db: store.db, clock: systemClock, apply });
    }
  }
  // The network heals: what is left goes through, old copies included.
  for (const block of flying) await deliver(block);
  for (let tries = 0; acknowledged < newest && tries < 100; tries += 1) {
    acknowledge(await deliver(next(3)));
  }
  const stored = await seqs(store);
  await store.close();
  const expected = Array.from({ length: newest }, (_, index) => index + 1);
  return { stored, expected: expected.filter((seq) => !lost.has(seq)) };
}

/** The agent drops a row that was stored, because the answer that says so is late. */
const OVERTAKEN_DROP: Step[] = [
  { do: 'rows', n: 3 },
  { do: 'send', n: 0 },
  { do: 'deliver', n: 0 },
  { do: 'drop', n: 2 },
];

describe('whatever the network does', () => {
  it('the store holds exactly the rows, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { stored, expected } = await play(steps, applyBlock);
        expect(stored).toEqual(expected);
      }),
      { numRuns: 60, examples: [[OVERTAKEN_DROP]] },
    );
  });

  it('a mark that is not conditional is found out', async () => {
    const unconditional: ApplyBlock = async (transaction, block, now) => {
      await transaction.deleteFrom('marks').execute();
      const applied = await applyBlock(transaction, { ...block, after: 0 }, now);
      return { ...applied, mark: block.last };
    };
    const found = await fc.check(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { stored, expected } = await play(steps, unconditional);
        expect(stored).toEqual(expected);
      }),
      { numRuns: 60, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });
});

describe('the writer', () => {
  it('commits blocks that come together at once, and refuses only the broken one', async () => {
    const store = await memoryStore();
    const picky: ApplyBlock = (transaction, block, now) => {
      if (block.agent === 'a7') throw new Error('broken');
      return applyBlock(transaction, block, now);
    };
    const writer = new BlockWriter({ db: store.db, clock: systemClock, apply: picky });
    const blocks = Array.from({ length: 20 }, (_, index) => blockOf(0, 2, { agent: `a${index}` }));
    const results = await Promise.allSettled(blocks.map((block) => writer.write(block, 1)));
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(await seqs(store)).toHaveLength(38);
  });

  it('shares one commit among many agents', async () => {
    const store = await memoryStore();
    const writer = new BlockWriter({ db: store.db, clock: systemClock, apply: applyBlock });
    const blocks = Array.from({ length: 100 }, (_, index) => blockOf(0, 2, { agent: `a${index}` }));
    await Promise.all(blocks.map((block) => writer.write(block, 1)));
    expect(writer.counters.commits).toBeLessThanOrEqual(2);
    expect(await seqs(store)).toHaveLength(200);
  });

  it('refuses what goes beyond its bound, and takes it again later', async () => {
    const store = await memoryStore();
    const options = { db: store.db, clock: systemClock, apply: applyBlock, waitingBytesMax: 10 };
    const writer = new BlockWriter(options);
    const first = writer.write(blockOf(0, 1), 8);
    await expect(writer.write(blockOf(1, 2), 8)).rejects.toMatchObject({ code: 'intake_busy' });
    await first;
    await writer.settled();
    await expect(writer.write(blockOf(1, 2), 8)).resolves.toMatchObject({ mark: 2 });
  });
});
