/**
 * Small jobs written by hand against the seam of the engine, so that the host's tests say what a
 * job does at every step: `count` keeps a count and a sum per key (the record's `k`), puts out one
 * row per record, throws when a record says so, and waits for ticks on request.
 */
import type { SourceDefinition } from '@runnel/shared/definitions/sources/registry.ts';
import type { JobState } from '@runnel/shared/engine/state.ts';
import type {
  JobCounters,
  OutputCollector,
  SourceRecord,
  StreamJobInstance,
} from '@runnel/shared/engine/stream-job.ts';
import { type EpochMs, epochMs } from '@runnel/shared/ids.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { RunnableJob, RunnableSink } from '@runnel/agent/streams/runnable-job.ts';

export interface CountDocument {
  readonly source?: string;
  readonly sinks?: readonly RunnableSink[];
  readonly priority?: number;
  readonly onLag?: 'skip' | 'block';
  readonly onIncompatibleState?: 'reset' | 'replay' | 'fail';
  readonly fingerprint?: string;
  /** What the instance refuses to do. */
  readonly broken?: 'create' | 'record' | 'process';
  readonly factor?: number;
}

/** Switches of the test, outside of what is journaled: makes a job throw on marked records. */
export const world = { poisonous: true };

interface Count {
  n: number;
  sum: number;
}

export const RESULTS: RunnableSink = { to: 'results', dataset: 'counts', urgent: false };

export function desired(
  name: string,
  version = 1,
  document: CountDocument = {},
  parameters: Record<string, unknown> = {},
): DesiredJob {
  return {
    name,
    version,
    hash: JSON.stringify(document),
    document,
    parameters,
    paused: false,
  };
}

export function compileCount(job: DesiredJob): RunnableJob {
  const document = job.document as CountDocument;
  const id = document.source ?? 'scripted';
  return {
    priority: document.priority ?? 0,
    sources: [
      {
        alias: 'in',
        codec: 'json',
        connector: {
          id,
          definition: { kind: 'mqtt', config: { topic: `${id}/+`, qos: 1 } } as SourceDefinition,
        },
      },
    ],
    sinks: document.sinks ?? [RESULTS],
    steps: [
      { id: 'count', stateVersion: 1, stateFingerprint: document.fingerprint ?? '' },
      { id: 'timer', stateVersion: 1, stateFingerprint: '' },
    ],
    onLag: document.onLag ?? 'skip',
    onIncompatibleState: document.onIncompatibleState ?? 'fail',
    create: (state, collector) => new CountJob(document, state, collector),
  };
}

class CountJob implements StreamJobInstance {
  readonly counters: JobCounters = {
    recordsIn: 0,
    recordsOut: 0,
    late: 0,
    deadLetters: 0,
    dropped: {},
  };
  readonly #document: CountDocument;
  readonly #out: OutputCollector;
  readonly #counts;
  readonly #timers;

  constructor(document: CountDocument, state: JobState, out: OutputCollector) {
    if (document.broken === 'create') throw new Error('this version cannot be created');
    this.#document = document;
    this.#out = out;
    this.#counts = state.step<Count>('count', 1);
    this.#timers = state.step<{ due: number }>('timer', 1);
  }

  record(_source: string, record: SourceRecord, nowMs: EpochMs): void {
    this.tick(nowMs);
    const payload = record.payload as { k?: string; v?: number; poison?: boolean; wait?: number };
    this.counters.recordsIn++;
    const key = payload.k ?? 'k';
    const count = this.#counts.get(key) ?? { n: 0, sum: 0 };
    count.n++;
    count.sum += (payload.v ?? 1) * (this.#document.factor ?? 1);
    this.#counts.put(key, count);
    if (payload.wait !== undefined) this.#timers.put(key, { due: nowMs + payload.wait });
    this.#put('count', key, nowMs, { ...count });
    // After the state changed and the row was made: both must be undone.
    if (this.#document.broken === 'record') throw new Error('this version fails on every record');
    if (this.#document.broken === 'process') process.kill(process.pid, 'SIGKILL');
    if (payload.poison === true && world.poisonous) throw new Error('poison');
  }

  tick(nowMs: EpochMs): void {
    for (const [key, { due }] of this.#timers.entries()) {
      if (due > nowMs) continue;
      this.#timers.delete(key);
      this.#put('timer', key, nowMs, { due: true });
    }
  }

  sourceConnected(): void {
    // Connection makes no difference to a count.
  }

  clockSynchronised(): void {
    // No event time here.
  }

  raiseWatermark(): void {
    // No event time here.
  }

  flush(): void {
    // Nothing is held back.
  }

  nextTickMs(): EpochMs | undefined {
    const due = [...this.#timers.entries()].map(([, timer]) => timer.due);
    return due.length === 0 ? undefined : epochMs(Math.min(...due));
  }

  watermarkMs(): EpochMs | undefined {
    return undefined;
  }

  #put(step: string, key: string, nowMs: EpochMs, value: unknown): void {
    this.counters.recordsOut++;
    this.#out.output(
      {
        step,
        key,
        windowStart: null,
        windowEnd: null,
        time: nowMs,
        revision: 1,
        value,
        at: nowMs,
      },
      (this.#document.sinks ?? [RESULTS]).map((_, index) => index),
    );
  }
}
