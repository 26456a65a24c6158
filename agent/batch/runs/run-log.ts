/**
 * The log of one run: JSON lines (`logLine` of protocol/runs.ts) in
 * `<data>/batch/logs/<run>.jsonl`.
 *
 * Appended without fsync: a power cut may cost the last lines, never the file; a line that a crash
 * cut in half is passed over. Bound: `limits.runLogBytesMax` a run; policy: drop-newest, told by
 * one line that counts, when the run ends or is closed. A text is cut at
 * `limits.runLogTextCharsMax`.
 */
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import { type LogLine, logLine } from '@runnel/shared/protocol/runs.ts';
import { isMissing } from '../../config/durable-file.ts';
import type { TaskLog } from '../tasks/task.ts';

export interface LogPlace {
  readonly task: string | null;
  readonly index: number | null;
  readonly attempt: number;
}

export class RunLog {
  readonly #path: string;
  readonly #clock: Clock;
  #next: number;
  #bytes: number;
  #dropped = 0;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    mkdirSync(dirname(path), { recursive: true });
    const text = readIfThere(path);
    const last = parseLines(text).at(-1);
    this.#next = (last?.n ?? 0) + 1;
    this.#bytes = Buffer.byteLength(text);
    // After a line that a crash cut in half, the next one must begin anew.
    if (text !== '' && !text.endsWith('\n')) this.#append('\n');
  }

  write(level: LogLine['level'], place: LogPlace, text: string): void {
    const n = this.#next++;
    if (this.#bytes >= limits.runLogBytesMax) {
      this.#dropped++;
      return;
    }
    this.#line(n, level, place, text);
  }

  /** For one attempt; the same lines go to `mirror`, the agent's own log. */
  of(place: LogPlace, mirror: TaskLog): TaskLog {
    const both = (level: 'info' | 'warn' | 'error') => (text: string) => {
      this.write(level, place, text);
      mirror[level](text);
    };
    return { info: both('info'), warn: both('warn'), error: both('error') };
  }

  /** Says how many lines were dropped; more may be written after it. */
  close(): void {
    if (this.#dropped === 0) return;
    const bound = `a run may log ${limits.runLogBytesMax} bytes`;
    const text = `${this.#dropped} lines were dropped: ${bound}`;
    this.#line(this.#next++, 'warn', { task: null, index: null, attempt: 0 }, text);
    this.#dropped = 0;
  }

  #line(n: number, level: LogLine['level'], place: LogPlace, text: string): void {
    const cut = text.slice(0, limits.runLogTextCharsMax);
    const line: LogLine = { n, at: this.#clock.now(), level, ...place, text: cut };
    this.#append(`${JSON.stringify(line)}\n`);
  }

  #append(text: string): void {
    appendFileSync(this.#path, text);
    this.#bytes += Buffer.byteLength(text);
  }
}

export function logPath(batchDir: string, run: string): string {
  return join(batchDir, 'logs', `${run}.jsonl`);
}

/** What one answer holds: it travels as one message. */
const PAGE_CHARS_MAX = 512 * 1024;

/**
 * Lines after number `after`, at most `linesMax` and 512 KiB, and of one task where it is given.
 */
export async function readLog(
  path: string,
  ask: { readonly task: string | null; readonly after: number; readonly linesMax: number },
): Promise<LogLine[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const found = parseLines(text)
    .filter(({ n, task }) => n > ask.after && (ask.task === null || task === ask.task))
    .slice(0, ask.linesMax);
  let chars = 0;
  // One line is at most `runLogTextCharsMax`, so there is always one.
  return found.filter((line) => (chars += line.text.length + 200) <= PAGE_CHARS_MAX);
}

export function removeLog(path: string): void {
  rmSync(path, { force: true });
}

/** Bytes of a log, 0 when there is none. */
export function logBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readIfThere(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? '' : readFileSync(path, 'utf8');
}

function parseLines(text: string): LogLine[] {
  const lines: LogLine[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith('{') || !line.endsWith('}')) continue;
    const parsed = logLine.safeParse(parseJson(line));
    if (parsed.success) lines.push(parsed.data);
  }
  return lines;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half a line that happens to end in a brace: no log line.
    return undefined;
  }
}
