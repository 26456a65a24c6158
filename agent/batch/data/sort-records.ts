/**
 * Records in the order of event time, equal times in the order they came, whatever their number:
 * an external merge sort. What fits into memory is sorted there; more is written in sorted runs to
 * the attempt's scratch directory, `<time>\t<topic and payload as JSON>` a line, and merged.
 *
 * Runs stay in the order of their records, and only neighbours are merged, of which the earlier one
 * goes first at equal times: that makes the sort stable. At most `FAN_IN` files are read at a time.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import { LineWriter, readLines } from '../tables/line-file.ts';
import type { Slices } from './slices.ts';

export interface TimedRecord {
  readonly timeMs: number;
  readonly topic: string;
  readonly payload: unknown;
}

export interface SortOptions {
  readonly dir: string;
  readonly slices: Slices;
  /** Records of one run; for tests. */
  readonly recordsMax?: number;
}

const FAN_IN = 8;
const SAMPLE_EVERY = 16;
const CHUNK = 512;

type Chunks = AsyncIterable<readonly TimedRecord[]>;

export async function* sortRecords(
  chunks: Chunks,
  options: SortOptions,
): AsyncGenerator<readonly TimedRecord[]> {
  const runs = new Runs(options);
  const recordsMax = options.recordsMax ?? limits.sortRowsMax;
  let gathered: TimedRecord[] = [];
  let chars = 0;
  for await (const chunk of chunks) {
    for (const record of chunk) {
      if (gathered.length % SAMPLE_EVERY === 0) {
        chars += JSON.stringify(record.payload ?? null).length * SAMPLE_EVERY;
      }
      gathered.push(record);
      if (gathered.length < recordsMax && chars < limits.sortCharsMax) continue;
      await runs.add(inOrder(gathered));
      gathered = [];
      chars = 0;
    }
  }
  const rest = inOrder(gathered);
  if (runs.isEmpty) {
    for (let at = 0; at < rest.length; at += CHUNK) yield rest.slice(at, at + CHUNK);
    return;
  }
  await runs.add(rest);
  yield* runs.merged();
}

function inOrder(records: TimedRecord[]): TimedRecord[] {
  return records.sort((left, right) => left.timeMs - right.timeMs);
}

class Runs {
  readonly #options: SortOptions;
  /** Files in the order of their records, with how often each was merged. */
  #files: { readonly path: string; readonly level: number }[] = [];
  #made = 0;

  constructor(options: SortOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#files.length === 0;
  }

  async add(records: readonly TimedRecord[]): Promise<void> {
    const { slices } = this.#options;
    const lines = async function* (): AsyncGenerator<string> {
      for (const { timeMs, topic, payload } of records) {
        if (slices.isOver()) await slices.rest();
        yield `${timeMs}\t${JSON.stringify([topic, payload ?? null])}`;
      }
    };
    this.#files.push({ path: await this.#write(lines()), level: 0 });
    for (;;) {
      const tail = this.#files.slice(-FAN_IN);
      const level = tail[0]?.level ?? 0;
      if (tail.length < FAN_IN || tail.some((file) => file.level !== level)) return;
      await this.#mergeLast(FAN_IN, level + 1);
    }
  }

  async *merged(): AsyncGenerator<readonly TimedRecord[]> {
    while (this.#files.length > FAN_IN) await this.#mergeLast(FAN_IN, Infinity);
    const { slices } = this.#options;
    let chunk: TimedRecord[] = [];
    for await (const line of this.#lines(this.#files.map(({ path }) => path))) {
      chunk.push(recordOf(line));
      if (slices.isOver()) await slices.rest();
      if (chunk.length < CHUNK) continue;
      yield chunk;
      chunk = [];
    }
    if (chunk.length > 0) yield chunk;
  }

  async #mergeLast(count: number, level: number): Promise<void> {
    const last = this.#files.slice(-count).map(({ path }) => path);
    const path = await this.#write(this.#lines(last));
    this.#files = [...this.#files.slice(0, -count), { path, level }];
    for (const each of last) await rm(each);
  }

  async #write(lines: AsyncIterable<string>): Promise<string> {
    const path = join(this.#options.dir, `sort-${++this.#made}`);
    const writer = await LineWriter.create(path, limits.tableBytesMax);
    try {
      for await (const line of lines) if (writer.add(line)) await writer.flush();
      await writer.close();
    } catch (error) {
      await writer.abandon();
      throw error;
    }
    return path;
  }

  async *#lines(paths: readonly string[]): AsyncGenerator<string> {
    const { slices } = this.#options;
    const readers: Reader[] = [];
    try {
      for (const path of paths) {
        const reader = new Reader(path);
        readers.push(reader);
        await reader.fill();
      }
      for (;;) {
        let first: Reader | undefined;
        for (const reader of readers) {
          if (reader.timeMs < (first?.timeMs ?? Infinity)) first = reader;
        }
        if (first === undefined) return;
        yield first.line;
        if (first.step()) await first.fill();
        if (slices.isOver()) await slices.rest();
      }
    } finally {
      for (const reader of readers) await reader.close();
    }
  }
}

/** One run and the line that it is at. */
class Reader {
  /** Infinity at the end. */
  timeMs = Infinity;
  line = '';
  readonly #chunks: AsyncGenerator<readonly string[]>;
  #chunk: readonly string[] = [];
  #at = 0;

  constructor(path: string) {
    this.#chunks = readLines(path);
  }

  /** True when more must be read. */
  step(): boolean {
    this.#at += 1;
    if (this.#at >= this.#chunk.length) return true;
    this.#place();
    return false;
  }

  async fill(): Promise<void> {
    do {
      const next = await this.#chunks.next();
      if (next.done === true) {
        this.timeMs = Infinity;
        return;
      }
      this.#chunk = next.value;
      this.#at = 0;
    } while (this.#chunk.length === 0);
    this.#place();
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }

  #place(): void {
    this.line = this.#chunk[this.#at]!;
    this.timeMs = Number(this.line.slice(0, this.line.indexOf('\t')));
  }
}

function recordOf(line: string): TimedRecord {
  const tab = line.indexOf('\t');
  const [topic, payload] = JSON.parse(line.slice(tab + 1)) as [string, unknown];
  return { timeMs: Number(line.slice(0, tab)), topic, payload };
}
