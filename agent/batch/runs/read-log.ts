/**
 * Reads the log of a run (run-log.ts) from its end backwards until the line that was read last, so
 * that whoever follows a log does not have all of it read each time; a line before that is not
 * parsed. What is no line of a log is passed over: half a line of a crash.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { limits } from '@runnel/shared/limits.ts';
import { type LogLine, logLine } from '@runnel/shared/protocol/runs.ts';
import { isMissing } from '../../config/durable-file.ts';

export interface LogQuestion {
  readonly task: string | null;
  readonly after: number;
  readonly linesMax: number;
}

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 10;

/**
 * Lines after number `after`, at most `linesMax` and 512 KiB, and of one task where it is given.
 */
export async function readLog(path: string, ask: LogQuestion): Promise<LogLine[]> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  try {
    return page(await textAfter(file, ask.after), ask);
  } finally {
    await file.close();
  }
}

/** Lines that are there, in order. */
export function* linesIn(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end === -1 ? undefined : end);
    if (line.startsWith('{') && line.endsWith('}')) yield line;
    at = end === -1 ? text.length : end + 1;
  }
}

export function linesOf(text: string): LogLine[] {
  return [...linesIn(text)].flatMap((line) => parseLine(line) ?? []);
}

function page(text: string, { task, after, linesMax }: LogQuestion): LogLine[] {
  const found: LogLine[] = [];
  let chars = 0;
  for (const each of linesIn(text)) {
    if (found.length >= linesMax) break;
    if (numberOf(each) <= after) continue;
    const line = parseLine(each);
    if (line === undefined || (task !== null && line.task !== task)) continue;
    chars += line.text.length + 200;
    // One line is at most `runLogTextCharsMax`, so there is always one.
    if (chars > limits.logPageCharsMax) break;
    found.push(line);
  }
  return found;
}

/** The end of the file that begins with a line numbered `after` or before it, or all of it. */
async function textAfter(file: FileHandle, after: number): Promise<string> {
  const { size } = await file.stat();
  const chunks: Buffer[] = [];
  for (let start = size; start > 0;) {
    const length = Math.min(after === 0 ? size : CHUNK_BYTES, start);
    start -= length;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
    const chunk = buffer.subarray(0, bytesRead);
    chunks.unshift(chunk);
    // The chunk may begin within a line, and within a character.
    const whole = chunk.subarray(start === 0 ? 0 : chunk.indexOf(NEWLINE) + 1).toString('utf8');
    const [first] = linesIn(whole);
    if (first !== undefined && numberOf(first) <= after) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The number stands first in every line; Infinity where it does not. */
function numberOf(line: string): number {
  const found = /^\{"n":(\d{1,15}),/.exec(line)?.[1];
  return found === undefined ? Infinity : Number(found);
}

function parseLine(line: string): LogLine | undefined {
  const parsed = logLine.safeParse(parseJson(line));
  return parsed.success ? parsed.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half a line that happens to end in a brace: no log line.
    return undefined;
  }
}
