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
 * A commit takes at most `BYTES_PER_COMMIT` of it, one write at least: a long run of writes does
 * not make one transaction that does not fit. Only what belongs to the rows of a stream job
 * (`joins`) is in the commit that is being gathered in any case, with all that stands before it.
 */
import { assert, RunnelError } from '@runnel/shared/errors.ts';
import type { DeadLetter } from '@runnel/shared/engine/stream-job.ts';
import type { Lane } from '@runnel/shared/protocol/results.ts';
import type { CheckpointStore, StoreTx } from '../../checkpoints/checkpoint-store.ts';
import { decodeVersioned, encodeVersioned } from '../../checkpoints/store-layout.ts';
import type { Participant } from '../../streams/participant.ts';
import { BATCH_FORMAT } from '../records.ts';

export type BatchKey = readonly (string | number)[];

/** One write, all of which is in one commit. */
export interface BatchTx {
  put(key: BatchKey, value: unknown): void;
  remove(key: BatchKey): void;
  /** A row of the outbox. */
  row(lane: Lane, text: string): void;
  deadLetter(job: string, version: number, letter: DeadLetter): void;
  /**
   * Puts back what was changed in memory together with this write, should the rest of it throw: of
   * such a write nothing is on disk. Newest first.
   */
  undo(back: () => void): void;
}

export interface BatchStoreOptions {
  readonly store: CheckpointStore;
  readonly row: (lane: Lane, text: string) => void;
  readonly deadLetter: (job: string, version: number, letter: DeadLetter) => void;
  /** Something is pending: a commit should come. */
  readonly wake: () => void;
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

interface Write {
  readonly operations: Operation[];
  readonly rows: { readonly lane: Lane; readonly text: string }[];
  readonly letters: Letter[];
  readonly undos: (() => void)[];
  bytes: number;
  /** Belongs in the next commit, whatever its size. */
  readonly joins: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const BYTES_PER_COMMIT = 4 * 1024 * 1024;

export class BatchStore implements Participant {
  readonly #options: BatchStoreOptions;
  /** In the order of the calls; the first `#staged` of them are in the commit in flight. */
  #writes: Write[] = [];
  #staged = 0;
  /** The newest pending operation of each key. */
  readonly #overlay = new Map<string, Operation>();
  #closed = false;
  #isWriting = false;

  constructor(options: BatchStoreOptions) {
    this.#options = options;
  }

  get isDirty(): boolean {
    return this.#writes.length > this.#staged;
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

  /** One at a time: a write within a write would come before what is put after it. */
  #write(gathered: Write, write: (tx: BatchTx) => void): void {
    assert(!this.#isWriting, 'a write within a write');
    this.#isWriting = true;
    try {
      write(this.#gather(gathered));
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
    for (const { operations } of this.#writes) {
      for (const operation of operations) this.#overlay.set(nameOf(operation.key), operation);
    }
  }

  stage(tx: StoreTx): void {
    let bytes = 0;
    const joined = this.#writes.findLastIndex(({ joins }) => joins);
    for (const write of this.#writes) {
      if (this.#staged > Math.max(joined, 0) && bytes + write.bytes > BYTES_PER_COMMIT) break;
      bytes += write.bytes;
      this.#staged++;
      for (const { key, value } of write.operations) {
        if (value === undefined) tx.remove('batch', key);
        else tx.put('batch', key, value);
      }
      for (const { lane, text } of write.rows) this.#options.row(lane, text);
      for (const each of write.letters) {
        this.#options.deadLetter(each.job, each.version, each.letter);
      }
    }
  }

  committed(): void {
    const done = this.#writes.splice(0, this.#staged);
    this.#staged = 0;
    for (const { operations, resolve } of done) {
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
  }

  /** Nothing is committed any more; whoever waits is told. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#writes) reject(closing());
    this.#writes = [];
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
      row: (lane, text) => {
        write.rows.push({ lane, text });
        write.bytes += text.length;
      },
      deadLetter: (job, version, letter) => {
        write.letters.push({ job, version, letter });
      },
      undo: (back) => write.undos.push(back),
    };
  }
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
