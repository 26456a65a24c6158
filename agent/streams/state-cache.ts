/**
 * A job's keyed state over the checkpoint store: a write-back cache that writes only what changed
 * since the last commit, and forgets what was not used lately, so that state may exceed memory.
 *
 * An entry is *dirty* when put since the last `stage`, *staged* until the commit that took it has
 * settled, else *clean*. Only clean entries are forgotten: reading the others from the store would
 * give an older value. Values are encoded by `stage`, so the engine may go on changing them while
 * the commit is being written.
 *
 * When a commit fails or the job throws, the whole cache is dropped and a new one reads from disk.
 */
import { assert } from '@runnel/shared/errors.ts';
import type { JobState, KeyedState } from '@runnel/shared/engine/state.ts';
import type { CheckpointStore, StoreTx } from '../checkpoints/checkpoint-store.ts';
import {
  afterStep,
  decodeEntry,
  decodeState,
  encodeState,
  stateKey,
  stepPrefix,
} from '../checkpoints/state-codec.ts';
import type { StateBudget } from './state-budget.ts';

/** Where a step's state lies; part of the job's record. */
export interface StepState {
  readonly id: string;
  /** Second part of the state key; numbered from 0 within the slot. */
  readonly index: number;
  readonly version: number;
}

interface Entry {
  value: unknown;
  dirty: boolean;
  /** Commit that staged it last; 0 when it came from disk. */
  staged: number;
  /** Cache cycle of its last use. */
  used: number;
  bytes: number;
}

/** Estimated cost of an entry in memory beside its value. */
const ENTRY_BYTES = 160;

export class StateCache implements JobState {
  readonly #store: CheckpointStore;
  readonly #slot: number;
  readonly #known: Map<string, StepState>;
  readonly #budget: StateBudget;
  readonly #steps = new Map<string, CachedStep>();
  readonly #added: (step: StepState) => void;
  cycle = 1;
  bytes = 0;

  /** `added` hears of a step that had no state yet: it belongs into the job's record. */
  constructor(
    store: CheckpointStore,
    slot: number,
    steps: readonly StepState[],
    budget: StateBudget,
    added: (step: StepState) => void,
  ) {
    this.#store = store;
    this.#slot = slot;
    this.#known = new Map(steps.map((step) => [step.id, step]));
    this.#budget = budget;
    this.#added = added;
    budget.add(this);
  }

  step<S>(stepId: string, version: number): KeyedState<S> {
    let step = this.#steps.get(stepId);
    if (step === undefined) {
      let known = this.#known.get(stepId);
      if (known === undefined) {
        // Kept steps keep their index, so there may be gaps: the largest says what is free.
        const index = Math.max(-1, ...[...this.#known.values()].map((each) => each.index)) + 1;
        known = { id: stepId, index, version };
        this.#known.set(stepId, known);
        this.#added(known);
      }
      assert(known.version === version, `state of step ${stepId} has version ${known.version}`);
      step = new CachedStep(this, this.#store, this.#slot, known.index);
      this.#steps.set(stepId, step);
    }
    return step as unknown as KeyedState<S>;
  }

  /** Writes what changed; returns whether anything did. */
  stage(tx: StoreTx, commit: number): boolean {
    let changed = false;
    for (const step of this.#steps.values()) if (step.stage(tx, commit)) changed = true;
    this.cycle++;
    return changed;
  }

  get keys(): number {
    let keys = 0;
    for (const step of this.#steps.values()) keys += step.size;
    return keys;
  }

  /** Forgets clean entries not used in this or the last cycle, until `bytes` are freed. */
  forget(bytes: number, flushedCommit: number): void {
    const target = this.bytes - bytes;
    for (const step of this.#steps.values()) step.forget(target, flushedCommit);
  }

  /** No longer counts against the budget. */
  drop(): void {
    this.#budget.remove(this);
    this.bytes = 0;
  }
}

class CachedStep implements KeyedState<unknown> {
  readonly #cache: StateCache;
  readonly #store: CheckpointStore;
  readonly #slot: number;
  readonly #index: number;
  readonly #entries = new Map<string, Entry>();
  #dirty: string[] = [];
  #size: number;

  constructor(cache: StateCache, store: CheckpointStore, slot: number, index: number) {
    this.#cache = cache;
    this.#store = store;
    this.#slot = slot;
    this.#index = index;
    this.#size = 0;
    for (const _ of store.keys('state', this.#range())) this.#size++;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): unknown {
    return this.#load(key).value;
  }

  put(key: string, value: unknown): void {
    const entry = this.#load(key);
    if (entry.value === undefined) this.#size++;
    entry.value = value;
    this.#mark(key, entry);
  }

  delete(key: string): void {
    const entry = this.#load(key);
    if (entry.value === undefined) return;
    this.#size--;
    entry.value = undefined;
    this.#mark(key, entry);
  }

  *entries(): Iterable<[string, unknown]> {
    for (const { key, value } of this.#store.range('state', this.#range())) {
      const entry = decodeEntry(key as Buffer, value);
      if (!this.#entries.has(entry[0])) yield entry;
    }
    for (const [key, { value }] of this.#entries) if (value !== undefined) yield [key, value];
  }

  stage(tx: StoreTx, commit: number): boolean {
    if (this.#dirty.length === 0) return false;
    for (const key of this.#dirty) {
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      entry.dirty = false;
      entry.staged = commit;
      const stored = stateKey(this.#slot, this.#index, key);
      if (entry.value === undefined) {
        tx.remove('state', stored);
        this.#account(entry, ENTRY_BYTES + key.length);
        continue;
      }
      const bytes = encodeState(key, entry.value);
      tx.put('state', stored, bytes);
      this.#account(entry, ENTRY_BYTES + key.length + bytes.length * 3);
    }
    this.#dirty = [];
    return true;
  }

  forget(targetBytes: number, flushedCommit: number): void {
    let left = this.#entries.size;
    for (const [key, entry] of this.#entries) {
      if (left-- <= 0 || this.#cache.bytes <= targetBytes) return;
      if (entry.dirty || entry.staged > flushedCommit) continue;
      this.#entries.delete(key);
      // Used lately: it goes to the end once, with its chance spent.
      if (entry.used + 1 >= this.#cache.cycle) {
        entry.used = 0;
        this.#entries.set(key, entry);
      } else {
        this.#cache.bytes -= entry.bytes;
      }
    }
  }

  #load(key: string): Entry {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const bytes = this.#store.get('state', stateKey(this.#slot, this.#index, key));
      const value = bytes === undefined ? undefined : decodeState(bytes);
      entry = { value, dirty: false, staged: 0, used: 0, bytes: 0 };
      this.#account(entry, ENTRY_BYTES + key.length + (bytes?.length ?? 0) * 3);
      this.#entries.set(key, entry);
    }
    entry.used = this.#cache.cycle;
    return entry;
  }

  #mark(key: string, entry: Entry): void {
    if (entry.dirty) return;
    entry.dirty = true;
    this.#dirty.push(key);
  }

  #account(entry: Entry, bytes: number): void {
    this.#cache.bytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  #range(): { start: Buffer; end: Buffer } {
    return {
      start: stepPrefix(this.#slot, this.#index),
      end: afterStep(this.#slot, this.#index),
    };
  }
}
