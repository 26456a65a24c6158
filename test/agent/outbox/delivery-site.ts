/**
 * Local delivery over a real store that can die at any moment: at the chosen point everything stops
 * and nothing goes on, as after SIGKILL; the next life opens what is on disk.
 */
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock, type Clock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { DeadLetters } from '@runnel/agent/outbox/dead-letters.ts';
import { Delivery } from '@runnel/agent/outbox/delivery.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import type { DeliveryRow, Sink, SinkContext } from '@runnel/agent/sinks/sink.ts';
import { Committer } from './open-test-store.ts';

export const FILE = { kind: 'file', from: 'out', config: { path: 'out.jsonl' } };
export const definition = FILE as unknown as SinkDefinition;

/** Where a life ends: at the n-th moment, counted over all that can be interrupted. */
export class Fate {
  readonly #diesAt: number;
  readonly moments: string[] = [];
  #died: (() => void) | undefined;
  readonly death: Promise<void>;

  constructor(diesAt = Infinity) {
    this.#diesAt = diesAt;
    this.death = new Promise((resolve) => {
      this.#died = resolve;
    });
  }

  get isDead(): boolean {
    return this.moments.length >= this.#diesAt;
  }

  /** Never resolves for one that is dead. */
  async moment(name: string): Promise<void> {
    if (!this.isDead) this.moments.push(name);
    if (!this.isDead) return;
    this.#died?.();
    await new Promise(() => undefined);
  }
}

export interface DeliverySite {
  readonly delivery: Delivery;
  readonly deadLetters: DeadLetters;
  readonly conditions: Conditions;
  /** Adds rows with these values and commits them. */
  put(...values: readonly unknown[]): Promise<void>;
  commit(): Promise<void>;
  /** Ends everything; of a dead life only what the system would close. */
  end(): Promise<void>;
}

export interface DeliverySiteOptions {
  readonly store: CheckpointStore;
  readonly dataDir: string;
  readonly makeSink: () => Sink;
  readonly fate?: Fate;
  readonly epoch?: string;
  readonly clock?: Clock;
  readonly laneBytesMax?: number;
  readonly sinks?: readonly SinkDefinition[];
}

export function openDelivery(options: DeliverySiteOptions): DeliverySite {
  const { store, dataDir, fate = new Fate(), clock = systemClock } = options;
  const committer = new Committer(store);
  const sinks: Sink[] = [];
  const conditions = new Conditions(clock);
  const deadLetters = new DeadLetters(store, 1000);
  const commit = async (): Promise<void> => {
    await fate.moment('before a commit');
    await committer.commit();
    await fate.moment('after a commit');
  };
  const delivery = new Delivery({
    store,
    clock,
    random: systemRandom,
    log: pino({ level: 'silent' }),
    conditions,
    agent: 'agent1',
    epoch: options.epoch ?? 'e1',
    dataDir,
    laneBytesMax: options.laneBytesMax ?? 1e9,
    deadLetters,
    createSink: () => {
      const sink = new MortalSink(options.makeSink(), fate);
      sinks.push(sink);
      return sink;
    },
    commit,
  });
  committer.use(delivery, deadLetters);
  const definitions = options.sinks ?? [definition];
  delivery.configure(
    'job',
    definitions.map((each) => ({ to: 'local', definition: each, urgent: false })),
  );
  delivery.applied();
  delivery.start();
  return {
    delivery,
    deadLetters,
    conditions,
    async put(...values) {
      for (const value of values) delivery.add('job', 0, rowText(value));
      await commit();
    },
    commit,
    async end() {
      if (fate.isDead) await Promise.all(sinks.map((sink) => sink.close()));
      else await delivery.close();
    },
  };
}

export const outPath = (dataDir: string): string => join(dataDir, 'out.jsonl');

function rowText(value: unknown): string {
  const output = { step: 'out', key: null, windowStart: null, windowEnd: null, time: 0 };
  return JSON.stringify({ v: 1, version: 1, output: { ...output, revision: 1, value, at: 5 } });
}

class MortalSink implements Sink {
  readonly #sink: Sink;
  readonly #fate: Fate;
  /** A call that the system would have ended with the process. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(sink: Sink, fate: Fate) {
    this.#sink = sink;
    this.#fate = fate;
  }

  get kind(): string {
    return this.#sink.kind;
  }

  async open(context: SinkContext): Promise<void> {
    await this.#track(this.#sink.open(context));
    await this.#fate.moment('after opening');
  }

  async deliver(rows: readonly DeliveryRow[]): Promise<unknown> {
    await this.#fate.moment('before a delivery');
    const state = await this.#track(this.#sink.deliver(rows));
    await this.#fate.moment('after a delivery');
    return state;
  }

  async close(): Promise<void> {
    await this.#busy;
    await this.#sink.close();
  }

  async #track<T>(call: Promise<T>): Promise<T> {
    this.#busy = call.then(
      () => undefined,
      () => undefined,
    );
    return await call;
  }
}
