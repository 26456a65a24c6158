/**
 * Rows of files on the device: csv, json, jsonl.
 *
 * A line that cannot be read is a dead row; more than `badLinesMax` of them fail the attempt. A
 * file that changes while it is read is seen at the end, and fails the attempt too: half of a new
 * file would count otherwise.
 */
import { open, readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { isTooDeep } from '@runnel/shared/engine/json-depth.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DeadRow, TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { readLines } from '../tables/line-file.ts';
import { CsvReader, csvValue } from './csv.ts';
import { type ListedFile, listFiles } from './list-files.ts';
import { parseBody } from './parse-body.ts';
import { rowOf } from './rows.ts';

type FileConfig = NonNullable<ExtractTaskConfig['file']>;
type Format = NonNullable<FileConfig['format']>;

export interface FileExtract {
  readonly files: readonly ListedFile[];
  readonly bad: readonly DeadRow[];
  /** What to commit: the files that were taken; undefined with `take: all`. */
  readonly cursor: Json | undefined;
  rows(): AsyncGenerator<Row>;
}

const FORMATS: Readonly<Record<string, Format>> = {
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};

export function formatOf(path: string, given: Format | undefined): Format {
  const format = given ?? FORMATS[extname(path).toLowerCase()];
  if (format !== undefined) return format;
  throw new TaskError('definition', 'file_format', `the ending of ${path} names no format`, {
    hint: 'Write format: csv, json or jsonl.',
  });
}

export async function openFileExtract(
  config: FileConfig,
  listOf: (body: Json) => readonly Json[],
  context: TaskContext,
): Promise<FileExtract> {
  const found = await listFiles(config.path, context.services.policy);
  const taken = context.fullRefresh ? {} : takenFiles(context.cursor);
  const isNew = config.take === 'new';
  const files = isNew ? found.filter((file) => taken[file.name] !== stampOf(file)) : found;
  const bad: DeadRow[] = [];
  const reader = new FileReader(config, listOf, context, bad);
  return {
    files,
    bad,
    cursor: isNew
      ? { files: Object.fromEntries(found.map((file) => [file.name, stampOf(file)])) }
      : undefined,
    async *rows() {
      for (const file of files) yield* reader.read(file);
    },
  };
}

function stampOf({ bytes, changedMs }: ListedFile): string {
  return `${bytes}@${changedMs}`;
}

function takenFiles(cursor: Json): Readonly<Record<string, unknown>> {
  const files = (cursor as { files?: unknown } | null)?.files;
  return typeof files === 'object' && files !== null ? (files as Record<string, unknown>) : {};
}

class FileReader {
  readonly #config: FileConfig;
  readonly #listOf: (body: Json) => readonly Json[];
  readonly #context: TaskContext;
  readonly #bad: DeadRow[];

  constructor(
    config: FileConfig,
    listOf: (body: Json) => readonly Json[],
    context: TaskContext,
    bad: DeadRow[],
  ) {
    this.#config = config;
    this.#listOf = listOf;
    this.#context = context;
    this.#bad = bad;
  }

  async *read(file: ListedFile): AsyncGenerator<Row> {
    const { fileColumn } = this.#config;
    this.#context.signal.throwIfAborted();
    for await (const row of this.#rows(file)) {
      yield fileColumn === undefined ? row : { ...row, [fileColumn]: file.name };
    }
    const { size, mtimeMs } = await stat(file.path);
    if (size === file.bytes && Math.floor(mtimeMs) === file.changedMs) return;
    throw new TaskError('data', 'file_changed', `${file.path} changed while it was read`, {
      hint: 'Write it beside and rename it when it is complete.',
    });
  }

  #rows(file: ListedFile): AsyncGenerator<Row> {
    const format = formatOf(file.path, this.#config.format);
    if (format === 'csv') return this.#csv(file);
    return format === 'jsonl' ? this.#jsonLines(file) : this.#json(file);
  }

  async *#json({ path, bytes }: ListedFile): AsyncGenerator<Row> {
    if (bytes > limits.jsonFileBytesMax) {
      const told = `${path} is larger than ${limits.jsonFileBytesMax} bytes`;
      throw new TaskError('resources', 'file_too_large', told, {
        hint: 'A JSON file is read whole; write JSON lines (.jsonl).',
      });
    }
    for (const item of this.#listOf(parseBody(await readFile(path), path))) yield rowOf(item);
  }

  async *#jsonLines({ path }: ListedFile): AsyncGenerator<Row> {
    let line = 0;
    for await (const lines of readLines(path)) {
      this.#context.signal.throwIfAborted();
      for (const text of lines) {
        line += 1;
        const trimmed = line === 1 ? text.replace(/^\uFEFF/, '').trim() : text.trim();
        if (trimmed === '') continue;
        const value = parseLine(trimmed);
        if (text.includes(NOT_UTF8)) this.#badLine(path, line, 'is no UTF-8', text);
        else if (value === undefined) this.#badLine(path, line, 'is no JSON', text);
        else yield rowOf(value);
      }
    }
  }

  async *#csv({ path }: ListedFile): AsyncGenerator<Row> {
    const { delimiter, types } = this.#config;
    const reader = new CsvReader(delimiter);
    let columns = this.#config.columns;
    for await (const text of readTexts(path)) {
      this.#context.signal.throwIfAborted();
      for (const { line, fields, problem } of reader.feed(text ?? '', text === null)) {
        if (columns === undefined) {
          columns = headerOf(fields, path);
        } else {
          const row = problem === undefined ? csvRow(fields, columns, types) : problem;
          if (typeof row !== 'string') yield row;
          else this.#badLine(path, line, row, fields.join(delimiter));
        }
      }
    }
  }

  #badLine(path: string, line: number, message: string, text: string): void {
    const { badLinesMax } = this.#config;
    const told = `${path} line ${line}: ${message}`;
    this.#bad.push({ reason: 'bad_line', message: told, value: text.slice(0, 4096) });
    if (this.#bad.length <= badLinesMax) return;
    throw new TaskError(
      'data',
      'bad_lines',
      badLinesMax === 0 ? told : `more than ${badLinesMax} bad lines; the last: ${told}`,
      { hint: 'Mend the file, or let badLinesMax lines go to the dead letters.' },
    );
  }
}

function parseLine(text: string): Json | undefined {
  if (isTooDeep(text)) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function headerOf(fields: readonly string[], path: string): string[] {
  const names = fields.map((field) => field.trim());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined && !names.includes('')) return names;
  const wrong = twice === undefined ? 'has a column without a name' : `has "${twice}" twice`;
  throw new TaskError('data', 'csv_header', `the first line of ${path} ${wrong}`, {
    hint: 'Name the columns in the task: columns: [a, b].',
  });
}

/** The row, or what is wrong. */
function csvRow(
  fields: readonly string[],
  columns: readonly string[],
  types: FileConfig['types'],
): Row | string {
  if (fields.some((field) => field.includes(NOT_UTF8))) return 'is no UTF-8';
  if (fields.length !== columns.length) {
    return `has ${fields.length} fields where there are ${columns.length} columns`;
  }
  const row: Record<string, Json> = {};
  for (const [index, name] of columns.entries()) {
    const type = types[name] ?? 'string';
    const value = csvValue(fields[index] ?? '', type);
    if (value === undefined) return `${name} is no ${type}`;
    row[name] = value;
  }
  return row;
}

/** Some 5 ms of csv. */
const CHUNK_BYTES = 64 * 1024;
/** What stands for bytes that are no UTF-8: a file in another encoding must not pass unseen. */
const NOT_UTF8 = '\uFFFD';

/** Texts, then null. */
async function* readTexts(path: string): AsyncGenerator<string | null> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const decoder = new StringDecoder('utf8');
    for (let isFirst = true; ; isFirst = false) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES);
      if (bytesRead === 0) break;
      const text = decoder.write(buffer.subarray(0, bytesRead));
      yield isFirst ? text.replace(/^\uFEFF/, '') : text;
    }
    yield null;
  } finally {
    await file.close();
  }
}
