/**
 * Rows between tasks and in datasets: files of JSON lines below `<data>/batch`.
 *
 *     tables/<run>/<task>[.<index>].<tries>-<attempt>-<n>.jsonl     rows for the tasks behind
 *     datasets/<name>/<partition>.<first 16 of the hash>-<n>.jsonl  a partition of a dataset
 *     scratch/…                                                     of attempts that run
 *     logs/…                                                        of runs
 *
 * A file gets its name by rename, after its content was flushed to disk, and never changes: what a
 * committed `TableRef` names is whole, and the same rows as long as it is referred to. An attempt
 * that was interrupted leaves files that nobody refers to; `sweep` removes them at the start.
 * Rows that are put into a dataset's partition get a name that no other file has, the same rows
 * again too: the old ones are there until the commit that refers to the new ones, and whoever then
 * removes them removes nothing that another run has put there meanwhile.
 *
 * Bounds: `limits.tableBytesMax`, `tableRowBytesMax`, `tableColumnsMax`; beyond them the attempt
 * fails (`resources`).
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { limits } from '@runnel/shared/limits.ts';
import { isMissing, syncDirectory } from '../../config/durable-file.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row, Tables } from '../tasks/task-services.ts';
import { ColumnTypes } from './column-types.ts';
import { pathsIn } from './join-tables.ts';
import { LineWriter, readLines } from './line-file.ts';
import { safeName } from './safe-name.ts';

export class TableFiles implements Tables {
  /** `<data>/batch`. */
  readonly root: string;
  /** Makes names of one attempt differ; attempts differ by their own numbers. */
  #made = 0;
  /** Of all tables since the start: what was removed is not taken off. */
  bytesMade = 0;

  constructor(dataDir: string) {
    this.root = join(dataDir, 'batch');
  }

  async write(context: TaskContext, rows: AsyncIterable<Row> | Iterable<Row>): Promise<TableRef> {
    const types = new ColumnTypes();
    const file = join(context.scratchDir, `rows-${++this.#made}.jsonl`);
    const writer = await LineWriter.create(file, limits.tableBytesMax);
    try {
      for await (const row of rows) {
        types.add(row);
        if (!writer.add(lineOf(row))) continue;
        await writer.flush();
        context.signal.throwIfAborted();
      }
      await writer.close();
    } catch (error) {
      await writer.abandon();
      await rm(file, { force: true });
      throw error;
    }
    return this.#name(context, file, { rows: writer.lines, columns: types.columns() });
  }

  async adopt(
    context: TaskContext,
    file: string,
    known?: Pick<TableRef, 'rows' | 'columns'>,
  ): Promise<TableRef> {
    const { size } = await stat(file);
    if (size > limits.tableBytesMax) {
      throw new TaskError(
        'resources',
        'table_bytes',
        `the rows take ${size} bytes, more than ${limits.tableBytesMax}`,
        { hint: 'Select less: fewer columns, a shorter period, or aggregate first.' },
      );
    }
    return this.#name(context, file, known ?? (await this.#measure(context, file)));
  }

  async *read(table: TableRef): AsyncGenerator<readonly Row[]> {
    for (const path of this.pathsOf(table)) {
      for await (const lines of readLines(path)) {
        yield lines.map((line) => JSON.parse(line) as Row);
      }
    }
  }

  pathOf(table: TableRef): string {
    const [path, ...more] = this.pathsOf(table);
    if (path !== undefined && more.length === 0) return path;
    throw new TaskError('other', 'table_path', `${table.path} is one of several files of a table`);
  }

  pathsOf(table: TableRef): string[] {
    return pathsIn(table).map((name) => {
      const path = join(this.root, name);
      if (path.startsWith(this.root + sep)) return path;
      throw new TaskError('other', 'table_path', `${name} is no path of a table`);
    });
  }

  /** SHA-256 of the rows, as hex: the same again is no update of a dataset. */
  async hash(table: TableRef, signal?: AbortSignal): Promise<string> {
    const hash = createHash('sha256');
    for (const path of this.pathsOf(table)) {
      for await (const chunk of createReadStream(path)) {
        signal?.throwIfAborted();
        hash.update(chunk as Buffer);
      }
    }
    return hash.digest('hex');
  }

  /**
   * The rows as a partition of a dataset: another name for the same file, so it costs nothing; a
   * copy where they are in several. The record of it is the caller's to commit, or the file is the
   * caller's to remove.
   */
  async toDataset(
    table: TableRef,
    name: string,
    partition: string,
    hash: string,
    signal?: AbortSignal,
  ): Promise<TableRef> {
    const path = this.#freePath(
      join('datasets', safeName(name), `${safeName(partition)}.${hash.slice(0, 16)}`),
    );
    const target = join(this.root, path);
    await mkdir(dirname(target), { recursive: true });
    const { rows, bytes, columns } = table;
    const files = this.pathsOf(table);
    if (files.length === 1) await linkOrCopy(this.pathOf(table), target);
    else await concatenate(files, target, signal);
    await syncDirectory(dirname(target));
    return { path, rows, bytes, columns };
  }

  /** Removes the file of a table; one that is not there is no error. */
  async remove(table: TableRef): Promise<void> {
    for (const path of this.pathsOf(table)) await rm(path, { force: true });
  }

  /** Removes all tables of a run that is no longer kept. */
  async removeRun(run: string): Promise<void> {
    await rm(join(this.root, 'tables', safeName(run)), { recursive: true, force: true });
  }

  /**
   * Removes the files of tables and datasets that no record refers to, and returns how many. At
   * the start only: an attempt that runs has files that are not yet referred to.
   */
  async sweep(isReferred: (path: string) => boolean): Promise<number> {
    let removed = 0;
    for (const folder of ['tables', 'datasets']) {
      for (const name of await namesIn(join(this.root, folder))) {
        const within = join(folder, name);
        for (const file of await namesIn(join(this.root, within))) {
          const path = join(within, file);
          if (isReferred(path)) continue;
          await rm(join(this.root, path), { recursive: true, force: true });
          removed += 1;
        }
        const rest = await namesIn(join(this.root, within));
        if (rest.length === 0) await rm(join(this.root, within), { recursive: true, force: true });
      }
    }
    return removed;
  }

  /** Of this process nobody else gets the name, and no file of one before has it. */
  #freePath(start: string): string {
    for (;;) {
      const path = `${start}-${++this.#made}.jsonl`;
      if (!existsSync(join(this.root, path))) return path;
    }
  }

  async #measure(context: TaskContext, file: string): Promise<Pick<TableRef, 'rows' | 'columns'>> {
    const types = new ColumnTypes();
    let rows = 0;
    for await (const lines of readLines(file)) {
      for (const line of lines) types.add(JSON.parse(line) as Row);
      rows += lines.length;
      context.signal.throwIfAborted();
    }
    return { rows, columns: types.columns() };
  }

  async #name(
    context: TaskContext,
    file: string,
    facts: Pick<TableRef, 'rows' | 'columns'>,
  ): Promise<TableRef> {
    const { scope, task, tries, attempt } = context;
    const index = scope.index === null ? '' : `.${scope.index}`;
    const name = `${safeName(task)}${index}.${tries}-${attempt}-${++this.#made}.jsonl`;
    const path = join('tables', safeName(scope.run.id), name);
    const target = join(this.root, path);
    await mkdir(dirname(target), { recursive: true });
    await rename(file, target);
    await syncDirectory(dirname(target));
    const { size } = await stat(target);
    this.bytesMade += size;
    return { path, bytes: size, ...facts };
  }
}

function lineOf(row: Row): string {
  const line = JSON.stringify(row);
  // A character is at most 4 bytes; the exact length is only computed when it may matter.
  if (
    line.length * 4 > limits.tableRowBytesMax &&
    Buffer.byteLength(line) > limits.tableRowBytesMax
  ) {
    throw new TaskError(
      'resources',
      'row_bytes',
      `a row takes more than ${limits.tableRowBytesMax} bytes`,
    );
  }
  return line;
}

/** Another name for a file; a copy where the two are on different file systems. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK' && code !== 'ENOSYS') throw error;
    const beside = `${to}.new`;
    await copyFile(from, beside);
    await rename(beside, to);
  }
}

/** Whole under its name or not there, as every file of a table. */
async function concatenate(
  files: readonly string[],
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const beside = `${to}.new`;
  const file = await open(beside, 'w', 0o640);
  try {
    for (const from of files) {
      for await (const chunk of createReadStream(from)) {
        signal?.throwIfAborted();
        await file.appendFile(chunk as Buffer);
      }
    }
    await file.sync();
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(beside, to);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') return [];
    throw error;
  }
}
