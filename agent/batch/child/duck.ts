/**
 * An empty DuckDB in memory that can see one directory and nothing else (DESIGN.md §4).
 *
 * One thread; memory bounded below the process's own bound; spilling to a capped directory; no
 * extensions to install or load; once `seal` was called no file outside of the directory can be
 * read, written, attached or listed, and no option changed.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import type { ErrorClass } from '@runnel/shared/definitions/batch-job.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { TaskError } from '../tasks/task-error.ts';

const MIB = 1024 * 1024;
/** What Node, the parser and rows on their way take beside DuckDB's own buffers. */
const OVERHEAD_BYTES = 96 * MIB;
const MEMORY_BYTES_MIN = 32 * MIB;

export interface DuckOptions {
  /** The one directory, absolute. */
  readonly directory: string;
  readonly memoryBytesMax: number;
  readonly tempBytesMax: number;
}

export interface Duck {
  readonly connection: DuckDBConnection;
  /** From here on only the directory can be reached, and no option changed. */
  seal(): Promise<void>;
}

export async function openDuck(options: DuckOptions): Promise<Duck> {
  const { directory, memoryBytesMax, tempBytesMax } = options;
  const temp = join(directory, 'spill');
  await rm(temp, { recursive: true, force: true });
  const memory = Math.max(MEMORY_BYTES_MIN, memoryBytesMax - OVERHEAD_BYTES);
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    memory_limit: `${Math.floor(memory / MIB)}MiB`,
    temp_directory: temp,
    max_temp_directory_size: `${Math.ceil(tempBytesMax / MIB)}MiB`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  });
  const connection = await instance.connect();
  // The device's own zone must not change what a query gives.
  await connection.run("SET TimeZone = 'UTC'");
  return {
    connection,
    async seal() {
      await connection.run(`SET allowed_directories = [${literal(directory)}]`);
      await connection.run('SET enable_external_access = false');
      await connection.run('SET lock_configuration = true');
    },
  };
}

/** A text as SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

const CLASS_OF: readonly (readonly [RegExp, ErrorClass, string])[] = [
  [
    /^Out of Memory Error|^Out Of Range Error: .*temp|failed to (offload|allocate)/i,
    'resources',
    'sql_memory',
  ],
  [/No space left|disk full/i, 'resources', 'sql_disk'],
  [
    /^Permission Error|has been locked|disabled (by|through) configuration/i,
    'policy',
    'sql_forbidden',
  ],
  [/^(Parser|Binder|Catalog|Syntax|Not implemented) Error/i, 'definition', 'sql_invalid'],
  [
    /^(Conversion|Invalid Input|Out of Range|Constraint|Mismatch Type) Error/i,
    'data',
    'sql_failed',
  ],
];

/** What DuckDB threw as a `TaskError`. */
export function duckError(error: unknown, options: DuckOptions): TaskError {
  if (error instanceof TaskError) return error;
  const message = messageOf(error).trim();
  const [, errorClass = 'other', code = 'sql_failed'] =
    CLASS_OF.find(([pattern]) => pattern.test(message)) ?? [];
  const hint = hintFor(code, options);
  return new TaskError(errorClass, code, message, { cause: error, ...(hint && { hint }) });
}

function hintFor(code: string, { memoryBytesMax, tempBytesMax }: DuckOptions): string | undefined {
  if (code === 'sql_memory') {
    const memory = Math.round(memoryBytesMax / MIB);
    const temp = Math.round(tempBytesMax / MIB);
    return (
      `The task has ${memory} MiB of memory and ${temp} MiB to spill to disk: ` +
      'raise memory or temp of sql, or let the query work on less.'
    );
  }
  if (code === 'sql_forbidden') {
    return "A query reads journal('…'), dataset('…'), task('…') and file('…') and nothing else.";
  }
  return undefined;
}
