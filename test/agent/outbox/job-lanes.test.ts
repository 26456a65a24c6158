/** The lane of a job's rows: what its priority says, and that nothing of one job overtakes. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { encodeVersioned } from '@runnel/agent/checkpoints/store-layout.ts';
import { laneOf } from '@runnel/agent/outbox/job-lanes.ts';
import { Outbox } from '@runnel/agent/outbox/outbox.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import { LANES, type Lane } from '@runnel/shared/protocol/results.ts';
import { Committer, openTestStore } from './open-test-store.ts';

/** An agent's outbox and the control plane that takes what it sends. */
class Device {
  readonly #store: CheckpointStore;
  readonly #committer: Committer;
  #processes = 0;
  outbox!: Outbox;
  readonly arrived: { job: string; n: number; lane: Lane }[] = [];

  constructor(store = openTestStore()) {
    this.#store = store;
    this.#committer = new Committer(store);
    this.restart();
  }

  restart(): void {
    this.outbox = new Outbox({
      store: this.#store,
      agent: 'agent1',
      epoch: `e${++this.#processes}`,
      bytesMax: 1e9,
      conditions: new Conditions(systemClock),
      unsendable: () => undefined,
      commit: () => this.commit(),
    });
    this.#committer.use(this.outbox);
  }

  add(job: string, priority: number, n: number): void {
    this.outbox.addOf({ job, priority }, JSON.stringify({ job, n }));
  }

  async commit(fails = false): Promise<void> {
    await this.#committer.commit(fails);
  }

  /** One block of a lane, of about so many bytes. */
  async send(lane: Lane, bytesMax?: number): Promise<boolean> {
    const block = this.outbox.next(lane, bytesMax);
    if (block === undefined) return false;
    const rows = block.rows as unknown as readonly { job: string; n: number }[];
    this.arrived.push(...rows.map(({ job, n }) => ({ job, n, lane })));
    await this.outbox.acknowledge(block.epoch, lane, block.last);
    return true;
  }

  async drain(lanes: readonly Lane[] = LANES): Promise<void> {
    for (const lane of lanes) while (await this.send(lane));
  }

  lanesOf(job: string): Lane[] {
    return this.arrived.filter((row) => row.job === job).map(({ lane }) => lane);
  }
}

describe('the lane of a priority', () => {
  it.each([
    [-1000, 'bulk'],
    [-1, 'bulk'],
    [0, 'results'],
    [1, 'urgent'],
    [1000, 'urgent'],
  ])('of %i is %s', (priority, lane) => {
    expect(laneOf(priority)).toBe(lane);
  });
});

describe('a job whose priority changes', () => {
  it('stays in its lane until nothing of it waits there', async () => {
    const device = new Device();
    device.add('a', 0, 1);
    await device.commit();
    device.add('a', 5, 2);
    await device.commit();
    await device.drain();
    device.add('a', 5, 3);
    await device.commit();
    await device.drain();
    expect(device.lanesOf('a')).toEqual(['results', 'results', 'urgent']);
  });

  it('does not wait for rows of others in its lane', async () => {
    const device = new Device();
    device.add('a', 0, 1);
    await device.commit();
    for (let n = 0; n < 200; n++) device.add('b', 0, n);
    await device.commit();
    await device.send('results', 1024 + 30);
    device.add('a', 5, 2);
    await device.commit();
    await device.drain();
    expect(device.lanesOf('a')).toEqual(['results', 'urgent']);
  });

  it('waits after a restart, too, and a job that did not change goes on as it was', async () => {
    const device = new Device();
    device.add('changing', 0, 1);
    device.add('urgent', 1, 1);
    await device.commit();
    device.restart();
    device.add('changing', 5, 2);
    device.add('urgent', 1, 2);
    device.add('new', 5, 1);
    await device.commit();
    await device.drain();
    expect(device.lanesOf('changing')).toEqual(['results', 'results']);
    expect(device.lanesOf('urgent')).toEqual(['urgent', 'urgent']);
    expect(device.lanesOf('new')).toEqual(['urgent']);
  });

  it('waits for what a release wrote that knew no lanes of jobs', async () => {
    const store = openTestStore();
    const device = new Device(store);
    device.add('a', 0, 1);
    await device.commit();
    await store.commit((tx) => {
      tx.put('outbox', ['epoch', 1], encodeVersioned(1, { epoch: 'e1' }));
      tx.remove('outbox', ['placed', 'a']);
    });
    device.restart();
    device.add('a', 5, 2);
    await device.commit();
    await device.drain();
    expect(device.lanesOf('a')).toEqual(['results', 'results']);
  });

  it('is forgotten when nothing of it waits, beyond the bound', async () => {
    const store = openTestStore();
    const device = new Device(store);
    for (let n = 0; n <= limits.outboxJobsPlacedMax; n++) device.add(`job-${n}`, 1, n);
    await device.commit();
    const placed = (): number =>
      [...store.keys('outbox', { start: ['placed', ''], end: ['placed', '\uffff'] })].length;
    expect(placed()).toBe(limits.outboxJobsPlacedMax + 1);
    await device.drain();
    device.add('last', 1, 1);
    await device.commit();
    expect(placed()).toBeLessThan(limits.outboxJobsPlacedMax);
  });
});

describe('an epoch with urgent rows', () => {
  it('is of a format that a release which would leave them behind refuses', async () => {
    const store = openTestStore();
    const device = new Device(store);
    const format = (): number | undefined => store.get('outbox', ['epoch', 1])?.[0];
    device.add('a', 0, 1);
    await device.commit();
    expect(format()).toBe(1);
    device.add('b', 1, 1);
    await expect(device.commit(true)).rejects.toThrow('does not answer');
    expect(format()).toBe(1);
    device.add('b', 1, 1);
    await device.commit();
    expect(format()).toBe(2);
    device.restart();
    await device.drain();
    expect(device.arrived).toHaveLength(2);
  });
});

const JOBS = ['a', 'b', 'c'] as const;
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      job: fc.constantFrom(...JOBS),
      priority: fc.integer({ min: -1, max: 1 }),
      rows: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('send' as const), lane: fc.constantFrom(...LANES) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

describe('rows of one job', () => {
  it('arrive once and in their order, whatever becomes of its priority', async () => {
    const met = { lanes: 0, restarts: 0, failures: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }),
        fc.shuffledSubarray([...LANES], { minLength: LANES.length }),
        async (steps, drainOrder) => {
          const device = new Device();
          // What is not committed by the end of a process, or by a commit, is made again.
          const committed = { a: 0, b: 0, c: 0 };
          let made = { ...committed };
          for (const each of steps) {
            if (each.do === 'add') {
              const { job, priority, rows } = each;
              for (let n = 0; n < rows; n++) device.add(job, priority, ++made[job]);
            } else if (each.do === 'send') {
              // A small block: the lane has more behind it.
              const isSent = await device.send(each.lane, 1024 + 120);
              if (isSent) Object.assign(committed, made);
            } else if (each.do === 'restart') {
              device.restart();
              made = { ...committed };
              met.restarts++;
            } else {
              if (each.do === 'commit') {
                await device.commit();
                Object.assign(committed, made);
                continue;
              }
              await expect(device.commit(true)).rejects.toThrow('does not answer');
              made = { ...committed };
              met.failures++;
            }
          }
          await device.commit();
          await device.drain(drainOrder);
          for (const job of JOBS) {
            const rows = device.arrived.filter((row) => row.job === job);
            expect(rows.map(({ n }) => n)).toEqual(rows.map((_, at) => at + 1));
            expect(rows).toHaveLength(made[job]);
            met.lanes += new Set(rows.map(({ lane }) => lane)).size > 1 ? 1 : 0;
          }
        },
      ),
      { numRuns: 50, seed: 2026, endOnFailure: true },
    );
    expect(met.lanes).toBeGreaterThan(8);
    expect(met.restarts).toBeGreaterThan(30);
    expect(met.failures).toBeGreaterThan(30);
  }, 60_000);
});
