/**
 * The log of one run: JSON lines (`logLine` of protocol/runs.ts) in
 * `<data>/batch/logs/<run>.jsonl`; read by read-log.ts.
 *
 * Guarantees: writing a line takes no disk access and never throws, whatever the disk does: what a
 * run does must not depend on what can be told of it. Lines gather in memory and are appended in
 * their order, many at once; a missing directory is made again; lines that cannot be written are
 * let go, counted, and the file goes on behind them. Appended without fsync: a power cut may cost
 * the last lines, never the file; a line that a crash cut in half is passed over.
 *
 * Bounds: `limits.runLogBytesMax` a run, `limits.runLogWaitingBytesMax` in memory,
 * `limits.runLogTextCharsMax` a text (cut). Policy: drop-newest, told by one line that counts, when
 * the run ends or is closed. What is dropped does not go to the agent's own log either.
 */
import { appendFile, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { LogLine } from '@runnel/shared/protocol/runs.ts';
import { isMissing } from '../../config/durable-file.ts';
import type { TaskLog } from '../tasks/task.ts';
import { linesOf } from './read-log.ts';

export interface LogPlace {
  readonly task: string | null;
  readonly index: number | null;
  readonly attempt: number;
}

export interface RunLogOptions {
  readonly path: string;
  readonly clock: Clock;
  /** Lines are on disk (null), or were lost because of this. */
  readonly written: (lines: number, failure: unknown) => void;
  /** Lines were passed over, since the log or what waits for the disk is full. */
  readonly dropped: () => void;
  /** Everything is written, and no more will come. */
  readonly done: () => void;
}

/** Holds the longest line that can be, whatever its characters need as JSON. */
const TAIL_BYTES = 8 * limits.runLogTextCharsMax;

export class RunLog {
  readonly #options: RunLogOptions;
  #waiting: Omit<LogLine, 'n'>[] = [];
  #waitingBytes = 0;
  /** Null until the file was looked at. */
  #end: { n: number; bytes: number; isWhole: boolean } | null = null;
  #dropped = 0;
  #isFull = false;
  /** Has its place also where the log is full. */
  #lastWords: string | null = null;
  #isClosed = false;
  #writing: Promise<void> | undefined;

  constructor(options: RunLogOptions) {
    this.#options = options;
  }

  /** Whether the line was taken. */
  write(level: LogLine['level'], place: LogPlace, text: string): boolean {
    if (this.#isFull || this.#waitingBytes >= limits.runLogWaitingBytesMax) {
      this.#dropped++;
      this.#options.dropped();
      return false;
    }
    this.#add(level, place, text);
    return true;
  }

  /** For one attempt; the lines that are taken go to `mirror` too, the agent's own log. */
  of(place: LogPlace, mirror: TaskLog): TaskLog {
    const both = (level: 'info' | 'warn' | 'error') => (text: string) => {
      if (this.write(level, place, text)) mirror[level](text);
    };
    return { info: both('info'), warn: both('warn'), error: both('error') };
  }

  /** Says how many lines were dropped; more may be written after it. */
  close(): void {
    this.#isClosed = true;
    if (this.#dropped > 0) this.#start();
    if (this.#writing === undefined) this.#options.done();
  }

  /** The run goes on. */
  reopen(): void {
    this.#isClosed = false;
  }

  /** Resolves when what was written so far is on disk, or was lost; never rejects. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #add(level: LogLine['level'], place: LogPlace, text: string): void {
    const cut = text.slice(0, limits.runLogTextCharsMax);
    this.#waiting.push({ at: this.#options.clock.now(), level, ...place, text: cut });
    this.#waitingBytes += cut.length + LINE_BYTES;
    this.#start();
  }

  #start(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
      if (this.#isClosed) this.#options.done();
    });
  }

  async #writeAll(): Promise<void> {
    // The lines of one turn of the event loop go together.
    await Promise.resolve();
    while (this.#waiting.length > 0 || (this.#isClosed && this.#dropped > 0)) {
      if (this.#waiting.length === 0) this.#tellDropped();
      const lines = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      try {
        const count = await this.#writeLines(lines);
        this.#options.written(count, null);
      } catch (error) {
        // Some of it may be there: the next line must begin anew.
        if (this.#end !== null) this.#end.isWhole = false;
        this.#options.written(lines.length, error);
      }
    }
  }

  /** Returns how many there was room for. */
  async #writeLines(lines: readonly Omit<LogLine, 'n'>[]): Promise<number> {
    const { path } = this.#options;
    this.#end ??= await endOf(path);
    const end = this.#end;
    let text = end.isWhole ? '' : '\n';
    let count = 0;
    for (const line of lines) {
      const isOver = end.bytes + text.length >= limits.runLogBytesMax;
      if (isOver && line.text !== this.#lastWords) {
        this.#isFull = true;
        this.#dropped++;
        this.#options.dropped();
        end.n++;
        continue;
      }
      text += `${JSON.stringify({ n: ++end.n, ...line })}\n`;
      count++;
    }
    if (text === '' || count === 0) return 0;
    try {
      await appendFile(path, text);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await mkdir(dirname(path), { recursive: true });
      await appendFile(path, text);
    }
    end.isWhole = true;
    end.bytes += Buffer.byteLength(text);
    return count;
  }

  #tellDropped(): void {
    const bound = `a run may log ${limits.runLogBytesMax} bytes`;
    const text = `${this.#dropped} lines were dropped: ${bound}`;
    this.#dropped = 0;
    this.#lastWords = text;
    const at = this.#options.clock.now();
    this.#waiting.push({ at, level: 'warn', task: null, index: null, attempt: 0, text });
  }
}

/** What a line takes beside its text, about. */
const LINE_BYTES = 120;

/** The last number in a log, its size, and whether its last line is whole. */
async function endOf(path: string): Promise<{ n: number; bytes: number; isWhole: boolean }> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return { n: 0, bytes: 0, isWhole: true };
    throw error;
  }
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const text = buffer.subarray(0, bytesRead).toString('utf8');
    const n = linesOf(text).at(-1)?.n ?? 0;
    return { n, bytes: size, isWhole: text === '' || text.endsWith('\n') };
  } finally {
    await file.close();
  }
}

export function logPath(batchDir: string, run: string): string {
  return join(batchDir, 'logs', `${run}.jsonl`);
}
