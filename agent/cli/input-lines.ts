/**
 * JSON lines of a file or of standard input, in chunks, for dry-run and `test`.
 *
 * Memory is bounded by one chunk and one line. A line that is no entry is an error with file and
 * line; empty lines are skipped.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { type DryRunEntry, dryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import { isTooDeep } from '@runnel/shared/engine/json-depth.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';

/** `path` is `-` for standard input. */
export async function* readEntries(
  path: string,
  stdin: Readable,
): AsyncGenerator<readonly DryRunEntry[]> {
  const file = path === '-' ? 'stdin' : path;
  const stream = path === '-' ? stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
  stream.setEncoding('utf8');
  let rest = '';
  let line = 0;
  for await (const chunk of textsOf(stream, file)) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_CHARS_MAX) throw invalid(file, line + 1, 'is longer than 4 MiB');
    const entries: DryRunEntry[] = [];
    for (const text of lines) {
      line += 1;
      if (text.trim() !== '') entries.push(entryOf(text, file, line));
    }
    if (entries.length > 0) yield entries;
  }
  if (rest.trim() !== '') yield [entryOf(rest, file, line + 1)];
}

/** A payload in JSON may take more characters than its bytes, escaped. */
const LINE_CHARS_MAX = 4 * limits.payloadBytesMax;

async function* textsOf(stream: Readable, file: string): AsyncGenerator<string> {
  try {
    for await (const chunk of stream) yield chunk as string;
  } catch (error) {
    throw new RunnelError('input_unreadable', `${file}: cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function entryOf(text: string, file: string, line: number): DryRunEntry {
  if (isTooDeep(text)) throw invalid(file, line, 'is nested too deeply');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(file, line, `is no JSON: ${messageOf(error)}`);
  }
  try {
    return dryRunEntry(value);
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    throw invalid(file, line, error.message, error.hint);
  }
}

function invalid(file: string, line: number, problem: string, hint?: string): RunnelError {
  return new RunnelError('input_invalid', `${file}:${line}: the line ${problem}`, {
    fields: { file, line },
    ...(hint === undefined ? {} : { hint }),
  });
}
