/**
 * What the batch engine writes, as part of the agent's commits (DESIGN.md §6.1).
 *
 * A write is gathered whole and stays here until a commit that holds it is on disk: a failed commit
 * stages it again, rows for the control plane and dead letters included, so nothing of it is lost
 * and nothing is there twice. Writes keep their order. Reads see what is pending, so that the
 * engine may go on before the disk has it; what leaves the process (the start of an attempt that
 * has an effect, the answer to a command) waits for `commit` to resolve.
 *
 * It stands before the outbox among the participants of the cycle: its rows are in its own commit.
 * A commit takes at most `limits.batchCommitBytesMax` of it, one write at least, which goes alone
 * then: a long run of writes does not make one transaction that does not fit. Only what belongs to
 * the rows of a stream job (`joins`) is in the commit that is being gathered in any case, with all
 * that stands before it. A write of more than `limits.batchWriteBytesMax` is refused.
 *
 * The last of the store is not for batch jobs (`limits.batchStoreReserveShare`): while there is no
 * other room writes wait here, in their order, and only what is dropped goes past them. When the
 * store is full it is asked first what can be dropped.
 */
import { assert, RunnelError } from '@runnel/shared/errors.ts';
import type { DeadLetter } from '@runnel/shared/engine/stream-job.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { CheckpointStore, StoreTx } from '../../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../../checkpoints/store-layout.ts';
import type { RowOrigin } from '../../outbox/job-lanes.ts';
import type { Participant } from '../../streams/participant.ts';
import { BATCH_FORMAT } from '../records.ts';

export type BatchKey = readonly (string | number)[];

/** One write, all of which is in one commit. */
export interface BatchTx {
  put(key: BatchKey, value: unknown): void;
  remove(key: BatchKey): void;
  /** A row of the outbox. */
  row(origin: RowOrigin, text: string): void;
  deadLetter(job: string, version: number, letter: DeadLetter): void;
  /**
   * Puts back what was changed in memory together with this write, should the rest of it throw: of
   * such a write nothing is on disk. Newest first.
   */
  undo(back: () => void): void;
}

export interface BatchStoreOptions {
  readonly store: CheckpointStore;
  readonly row: (origin: RowOrigin, text: string) => void;
  readonly deadLetter: (job: string, version: number, letter: DeadLetter) => void;
  /** Something is pending: a commit should come. */
  readonly wake: () => void;
  /** Disk budget of the whole store; default: none. */
  readonly bytesMax?: number;
}

/** Who decides what batch jobs can do without (batch-space.ts). */
export interface Space {
  /** Writes wait for room in the store, or do no longer. */
  waiting(isWaiting: boolean): void;
  /** The store is full: keys that can go. */
  relief(): readonly BatchKey[];
}

interface Operation {
  readonly key: BatchKey;
  readonly value: Buffer | undefined;
}

interface Letter {
  readonly job: string;
  readonly version: number;
  readonly letter: DeadLetter;
}

interface Drop {
  readonly operations: readonly Operation[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Write {
  readonly operations: Operation[];
  readonly rows: { readonly origin: RowOrigin; readonly text: string }[];
  readonly letters: Letter[];
  readonly undos: (() => void)[];
  bytes: number;
  /** Belongs in the next commit, whatever its size. */
  readonly joins: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class BatchStore implements Participant {
  readonly #options: BatchStoreOptions;
  /** In the order of the calls; the first `#staged` of them are in the commit in flight. */
  #writes: Write[] = [];
  #staged = 0;
  /** The newest pending operation of each key. */
  readonly #overlay = new Map<string, Operation>();
  /** What goes past the writes, and how many of these are in the commit in flight. */
  #drops: Drop[] = [];
  #dropsStaged = 0;
  #space: Space | undefined;
  /** There is no room for the next write. */
  #isWaiting = false;
  #closed = false;
  #isWriting = false;

  constructor(options: BatchStoreOptions) {
    this.#options = options;
  }

  get isDirty(): boolean {
    if (this.#drops.length > this.#dropsStaged) return true;
    return this.#writes.length > this.#staged && !this.#isWaiting;
  }

  attach(space: Space): void {
    this.#space = space;
  }

  /** On disk, of the database of batch jobs alone. */
  get usedBytes(): number {
    return this.#options.store.usedBytes('batch');
  }

  /** Disk budget of the whole store. */
  get bytesMax(): number {
    return this.#options.bytesMax ?? Infinity;
  }

  /** Whether something of it is about to be written. */
  isPending(key: BatchKey): boolean {
    return this.#overlay.has(nameOf(key));
  }

  /** Looks again whether there is room for what waits. */
  retry(): void {
    if (!this.#isWaiting) return;
    this.#setWaiting(false);
    this.#options.wake();
  }

  /** A run does not wait for the pace of slow traffic: its next task does. */
  get isUrgent(): boolean {
    return this.isDirty;
  }

  get<T>(key: BatchKey): T | undefined {
    const pending = this.#overlay.get(nameOf(key));
    const bytes = pending === undefined ? this.#options.store.get('batch', key) : pending.value;
    return bytes === undefined ? undefined : decode<T>(key, bytes);
  }

  /** Everything whose key begins so, in key order. */
  list<T>(prefix: BatchKey): { readonly key: BatchKey; readonly value: T }[] {
    const found = new Map<string, { key: BatchKey; value: T }>();
    const range = { start: prefix, end: [...prefix, '\uffff'] };
    for (const { key, value } of this.#options.store.range('batch', range)) {
      const name = key as BatchKey;
      found.set(nameOf(name), { key: name, value: decode<T>(name, value) });
    }
    let isMerged = false;
    for (const [name, { key, value }] of this.#overlay) {
      if (key.length <= prefix.length || prefix.some((part, at) => part !== key[at])) continue;
      if (value === undefined) found.delete(name);
      else found.set(name, { key, value: decode<T>(key, value) });
      isMerged = true;
    }
    const all = [...found.values()];
    return isMerged ? all.toSorted((a, b) => compareKeys(a.key, b.key)) : all;
  }

  has(key: BatchKey): boolean {
    const pending = this.#overlay.get(nameOf(key));
    if (pending !== undefined) return pending.value !== undefined;
    return this.#options.store.has('batch', key);
  }

  /** The same without the values. */
  keys(prefix: BatchKey): BatchKey[] {
    const found = new Map<string, BatchKey>();
    const range = { start: prefix, end: [...prefix, '\uffff'] };
    for (const key of this.#options.store.keys('batch', range)) {
      found.set(nameOf(key as BatchKey), key as BatchKey);
    }
    for (const [name, { key, value }] of this.#overlay) {
      if (key.length <= prefix.length || prefix.some((part, at) => part !== key[at])) continue;
      if (value === undefined) found.delete(name);
      else found.set(name, key);
    }
    return [...found.values()].toSorted(compareKeys);
  }

  /**
   * Takes a write; `write` is called once, at once. Resolves when it is on disk, which a failed
   * commit only delays. Rejects with `agent_closing`, and with what `write` throws, of which then
   * nothing is written.
   */
  async commit(write: (tx: BatchTx) => void, joins = false): Promise<void> {
    if (this.#closed) throw closing();
    await new Promise<void>((resolve, reject) => {
      const gathered: Write = {
        operations: [],
        rows: [],
        letters: [],
        undos: [],
        bytes: 0,
        joins,
        resolve,
        reject,
      };
      this.#write(gathered, write);
      this.#options.wake();
    });
  }

  /**
   * Removes records of which nothing is pending, past all that waits. Resolves when that is on
   * disk; rejects with `agent_closing`.
   */
  async drop(keys: readonly BatchKey[]): Promise<void> {
    if (this.#closed) throw closing();
    await new Promise<void>((resolve, reject) => {
      const operations = keys.map((key) => ({ key, value: undefined }));
      for (const operation of operations) this.#overlay.set(nameOf(operation.key), operation);
      this.#drops.push({ operations, resolve, reject });
      this.#options.wake();
    });
  }

  /** One at a time: a write within a write would come before what is put after it. */
  #write(gathered: Write, write: (tx: BatchTx) => void): void {
    assert(!this.#isWriting, 'a write within a write');
    this.#isWriting = true;
    try {
      write(this.#gather(gathered));
      assertFits(gathered.bytes);
      this.#writes.push(gathered);
    } catch (error) {
      this.#forgetPartial();
      for (const back of gathered.undos.toReversed()) back();
      throw error;
    } finally {
      this.#isWriting = false;
    }
  }

  /** Of a write that threw nothing is written, and nothing may be read. */
  #forgetPartial(): void {
    this.#overlay.clear();
    for (const { operations } of [...this.#drops, ...this.#writes]) {
      for (const operation of operations) this.#overlay.set(nameOf(operation.key), operation);
    }
  }

  stage(tx: StoreTx): void {
    for (const { operations } of this.#drops) stageAll(tx, operations);
    this.#dropsStaged = this.#drops.length;
    if (this.#writes.length === 0) return;
    const count = this.#countThatFits();
    this.#setWaiting(count === 0);
    for (const write of this.#writes.slice(0, count)) {
      stageAll(tx, write.operations);
      for (const { origin, text } of write.rows) this.#options.row(origin, text);
      for (const each of write.letters) {
        this.#options.deadLetter(each.job, each.version, each.letter);
      }
    }
    this.#staged = count;
  }

  /** How many of the writes go into the next commit. */
  #countThatFits(): number {
    const joined = this.#writes.findLastIndex(({ joins }) => joins);
    const reserveBytes = this.bytesMax * limits.batchStoreReserveShare;
    const room =
      this.bytesMax === Infinity
        ? Infinity
        : this.bytesMax - reserveBytes - this.#options.store.usedBytes();
    let bytes = 0;
    let count = 0;
    for (const write of this.#writes) {
      bytes += write.bytes;
      if (bytes > room) break;
      if (count > Math.max(joined, 0) && bytes > limits.batchCommitBytesMax) break;
      count++;
    }
    return count;
  }

  /** The store is full: past everything else, in a commit of its own that may fail too. */
  relieve(tx: StoreTx): boolean {
    const gone = this.#space?.relief() ?? [];
    for (const key of gone) tx.remove('batch', key);
    return gone.length > 0;
  }

  #setWaiting(isWaiting: boolean): void {
    if (isWaiting === this.#isWaiting) return;
    this.#isWaiting = isWaiting;
    this.#space?.waiting(isWaiting);
  }

  committed(): void {
    const dropped = this.#drops.splice(0, this.#dropsStaged);
    const done = this.#writes.splice(0, this.#staged);
    this.#staged = 0;
    this.#dropsStaged = 0;
    for (const { operations, resolve } of [...dropped, ...done]) {
      for (const operation of operations) {
        const name = nameOf(operation.key);
        if (this.#overlay.get(name) === operation) this.#overlay.delete(name);
      }
      resolve();
    }
  }

  /** The commit failed: all of it is staged again. */
  reload(): void {
    this.#staged = 0;
    this.#dropsStaged = 0;
  }

  /** Nothing is committed any more; whoever waits is told. */
  close(): void {
    this.#closed = true;
    for (const { reject } of [...this.#drops, ...this.#writes]) reject(closing());
    this.#writes = [];
    this.#drops = [];
  }

  #gather(write: Write): BatchTx {
    const operation = (key: BatchKey, value: Buffer | undefined): void => {
      const made = { key, value };
      write.operations.push(made);
      write.bytes += (value?.length ?? 0) + 64;
      this.#overlay.set(nameOf(key), made);
    };
    return {
      put: (key, value) => operation(key, encodeVersioned(BATCH_FORMAT, value)),
      remove: (key) => operation(key, undefined),
      row: ({ job, priority }, text) => {
        write.rows.push({ origin: { job, priority }, text });
        write.bytes += text.length;
      },
      deadLetter: (job, version, letter) => {
        write.letters.push({ job, version, letter });
      },
      undo: (back) => write.undos.push(back),
    };
  }
}

function stageAll(tx: StoreTx, operations: readonly Operation[]): void {
  for (const { key, value } of operations) {
    if (value === undefined) tx.remove('batch', key);
    else tx.put('batch', key, value);
  }
}

/** One that can never be committed would keep all behind it from the disk. */
function assertFits(bytes: number): void {
  if (bytes <= limits.batchWriteBytesMax) return;
  const told = `one change takes ${bytes} bytes; at most ${limits.batchWriteBytesMax} go together`;
  throw new RunnelError('write_too_large', told, {
    hint: 'let tasks put out less, have shorter lists for forEach, or hand data on as a table',
  });
}

function closing(): RunnelError {
  return new RunnelError('agent_closing', 'the agent is closing');
}

function nameOf(key: BatchKey): string {
  return JSON.stringify(key);
}

function decode<T>(key: BatchKey, bytes: Uint8Array): T {
  return decodeVersioned<T>(`a ${key[0]} record`, BATCH_FORMAT, bytes);
}

/** As LMDB orders them: numbers before texts, a prefix before what is longer. */
function compareKeys(a: BatchKey, b: BatchKey): number {
  for (const [at, part] of a.entries()) {
    const other = b[at];
    if (other === undefined) return 1;
    if (part === other) continue;
    if (typeof part !== typeof other) return typeof part === 'number' ? -1 : 1;
    return part < other ? -1 : 1;
  }
  return a.length - b.length;
}
