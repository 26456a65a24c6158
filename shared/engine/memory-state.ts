/**
 * State of a job in memory: for dry-run, trial runs and tests. Nothing is persisted, but all of it
 * can be taken out as plain data and put back.
 */
import type { JobState, KeyedState, StateValue } from './state.ts';

/** Step id, state version, and keys with their values. */
export type StateDump = [step: string, version: number, entries: [string, StateValue][]][];

export class MemoryState implements JobState {
  private readonly steps = new Map<string, { version: number; state: MemoryKeyedState<unknown> }>();

  constructor(dump: StateDump = []) {
    for (const [stepId, version, entries] of dump) {
      this.steps.set(stepId, { version, state: new MemoryKeyedState<unknown>(entries) });
    }
  }

  step<S>(stepId: string, version: number): KeyedState<S> {
    let step = this.steps.get(stepId);
    if (step === undefined || step.version !== version) {
      step = { version, state: new MemoryKeyedState<unknown>([]) };
      this.steps.set(stepId, step);
    }
    return step.state as unknown as KeyedState<S>;
  }

  /** Everything, by reference: encode it before the job goes on. */
  dump(): StateDump {
    return [...this.steps].map(([stepId, { version, state }]) => [
      stepId,
      version,
      [...state.entries()] as [string, StateValue][],
    ]);
  }
}

class MemoryKeyedState<S> implements KeyedState<S> {
  private readonly values: Map<string, S>;

  constructor(entries: Iterable<[string, S]>) {
    this.values = new Map(entries);
  }

  get size(): number {
    return this.values.size;
  }

  get(key: string): S | undefined {
    return this.values.get(key);
  }

  put(key: string, value: S): void {
    this.values.set(key, value);
  }

  delete(key: string): void {
    this.values.delete(key);
  }

  entries(): Iterable<[string, S]> {
    return this.values.entries();
  }
}
