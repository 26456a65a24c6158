/**
 * The rows of several tables by their key, in parts that fit into memory whatever the size of the
 * tables: each row goes to the file of the bucket that the hash of its key names, and a bucket of
 * all tables is read at a time (the partitioning of a Grace hash join; Kitsuregawa et al., 1983).
 * Keys of a bucket come in the order of their texts, so that the order of the rows does not count.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import { DeadRows } from '../data/dead-rows.ts';
import type { Slices } from '../data/slices.ts';
import type { TableRef } from '../records.ts';
import { LineWriter, readLines } from '../tables/line-file.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { keyText } from './change-batch.ts';
import type { RowStates } from './row-difference.ts';

/** The tables that are compared; undefined: there is none. */
export type States = Readonly<Record<StateName, TableRef | undefined>>;

type StateName = keyof RowStates;
type KeyRows = { -readonly [Name in StateName]?: RowStates[Name] };

const BUCKETS_MAX = 128;

export class KeyBuckets {
  /** Rows of the present state that have no key. */
  readonly dead = new DeadRows();
  readonly #key: readonly string[];
  readonly #context: TaskContext;
  readonly #slices: Slices;
  readonly #buckets: number;

  /** `bytes` of the states that decide on how many buckets there are. */
  constructor(key: readonly string[], bytes: number, context: TaskContext, slices: Slices) {
    this.#key = key;
    this.#context = context;
    this.#slices = slices;
    const wanted = Math.ceil(bytes / limits.changesBucketBytes);
    this.#buckets = Math.min(Math.max(wanted, 1), BUCKETS_MAX);
  }

  /** All keys of all states. Throws a `TaskError` (`data`, `key_twice`). */
  async *compare(states: States): AsyncGenerator<RowStates> {
    const names = Object.keys(states) as StateName[];
    for (const name of names) await this.#divide(name, states[name]);
    for (let bucket = 0; bucket < this.#buckets; bucket++) {
      const keys = new Map<string, KeyRows>();
      for (const name of names) {
        if (states[name] !== undefined) await this.#gather(name, bucket, keys);
      }
      for (const text of [...keys.keys()].sort()) yield keys.get(text) ?? {};
    }
  }

  async #divide(name: StateName, table: TableRef | undefined): Promise<void> {
    if (table === undefined) return;
    const writers: LineWriter[] = [];
    try {
      for (let bucket = 0; bucket < this.#buckets; bucket++) {
        writers.push(await LineWriter.create(this.#path(name, bucket), 2 * limits.tableBytesMax));
      }
      for await (const rows of this.#context.services.tables.read(table)) {
        for (const row of rows) {
          if (this.#slices.isOver()) await this.#slices.rest();
          const text = this.#textOf(row, name === 'now');
          if (text === undefined) continue;
          const writer = writers[this.#bucketOf(text)];
          if (writer?.add(JSON.stringify([text, row])) === true) await writer.flush();
        }
      }
      for (const writer of writers.splice(0)) await writer.close({ durable: false });
    } finally {
      for (const writer of writers) await writer.abandon();
    }
  }

  /** A row without a key was no event before, and is none when it goes. */
  #textOf(row: Row, isPresent: boolean): string | undefined {
    const values = this.#key.map((name) => row[name] ?? null);
    const missing = this.#key.find((_name, at) => values[at] === null);
    if (missing === undefined) return keyText(values);
    if (isPresent) this.dead.add('missing_key', `the row has no ${missing}`, row);
    return undefined;
  }

  #bucketOf(text: string): number {
    if (this.#buckets === 1) return 0;
    return createHash('sha256').update(text).digest().readUInt32LE(0) % this.#buckets;
  }

  async #gather(name: StateName, bucket: number, keys: Map<string, KeyRows>): Promise<void> {
    for await (const lines of readLines(this.#path(name, bucket))) {
      for (const line of lines) {
        if (this.#slices.isOver()) await this.#slices.rest();
        const [text, row] = JSON.parse(line) as [string, Row];
        const rows: KeyRows = keys.get(text) ?? {};
        // An old state may have had another key; a full refresh is how one changes it.
        const isForgiven = this.#context.fullRefresh && name !== 'now';
        if (rows[name] !== undefined && !isForgiven) throw this.#twice(name, text);
        rows[name] = row;
        keys.set(text, rows);
      }
    }
  }

  #twice(state: StateName, text: string): TaskError {
    const told = `two rows of the state ${state} have the key ${text}`;
    return new TaskError('data', 'key_twice', told, {
      hint:
        state === 'now'
          ? `Name with key: the columns that tell rows apart, beside ${this.#key.join(', ')}.`
          : 'If the key of the task is another since: run the job once with a full refresh.',
    });
  }

  #path(name: StateName, bucket: number): string {
    return join(this.#context.scratchDir, `${name}-${bucket}.jsonl`);
  }
}
