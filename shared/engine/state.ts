/**
 * State of a job as the engine sees it: keyed values per step, read through a write-back cache.
 *
 * The engine is pure: what implements this (LMDB in the agent, a map in dry-run) persists the
 * values that were put since the last commit, in the same transaction as the journal block,
 * offsets and outbox rows. Reads are synchronous, because LMDB's are.
 */

/**
 * Values are plain data: null, boolean, number (NaN, infinities and -0 included), string, arrays
 * and plain objects of these. No undefined, Map, Set, Date, class or shared reference: a value
 * must come back equal after `decode(encode(value))` of MessagePack.
 */
export type StateValue =
  | null
  | boolean
  | number
  | string
  | StateValue[]
  | { [field: string]: StateValue };

export interface KeyedState<S> {
  /** The live value; it may be changed in place, and then must be put again. */
  get(key: string): S | undefined;
  /** Stores the value and marks it dirty; it is written at the next commit. */
  put(key: string, value: S): void;
  delete(key: string): void;
  /**
   * Every key with its value, dirty ones included, in no particular order. For rebuilding
   * in-memory indexes (timers) when a job starts; never on the path of a record.
   */
  entries(): Iterable<[string, S]>;
  /** Number of keys. */
  readonly size: number;
}

export interface JobState {
  /**
   * The state of one step. `version` is raised when the shape of `S` changes. Calling it again
   * with the same step gives the same object.
   */
  step<S>(stepId: string, version: number): KeyedState<S>;
}
