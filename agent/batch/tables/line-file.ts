/**
 * Files of lines, written and read in chunks, so that the event loop runs between them and memory
 * stays flat whatever the size.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { limits } from '@runnel/shared/limits.ts';
import { TaskError } from '../tasks/task-error.ts';

/** Some 2 ms of JSON. */
const CHUNK_BYTES = 256 * 1024;

/** A new file; what was written is on disk once `close` has resolved, unless it may be lost. */
export class LineWriter {
  readonly #file: FileHandle;
  readonly #bytesMax: number;
  #pending: string[] = [];
  #pendingChars = 0;
  lines = 0;
  bytes = 0;

  private constructor(file: FileHandle, bytesMax: number) {
    this.#file = file;
    this.#bytesMax = bytesMax;
  }

  /** Throws EEXIST when the file is there. */
  static async create(path: string, bytesMax: number): Promise<LineWriter> {
    return new LineWriter(await open(path, 'wx', 0o640), bytesMax);
  }

  /** True when enough is gathered to `flush`. A line has no line feed in it. */
  add(line: string): boolean {
    this.#pending.push(line);
    this.#pendingChars += line.length + 1;
    this.lines += 1;
    return this.#pendingChars >= CHUNK_BYTES;
  }

  /** Throws a `TaskError` (`resources`) beyond the bound. */
  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const chunk = Buffer.from(`${this.#pending.join('\n')}\n`);
    this.#pending = [];
    this.#pendingChars = 0;
    this.bytes += chunk.length;
    if (this.bytes > this.#bytesMax) {
      throw new TaskError(
        'resources',
        'table_bytes',
        `the rows take more than ${this.#bytesMax} bytes`,
        { hint: 'Select less: fewer columns, a shorter period, or aggregate first.' },
      );
    }
    for (let at = 0; at < chunk.length;) {
      at += (await this.#file.write(chunk, at, chunk.length - at)).bytesWritten;
    }
  }

  /** `durable: false` for what is read at once and thrown away: flash is spared the write. */
  async close({ durable = true }: { readonly durable?: boolean } = {}): Promise<void> {
    try {
      await this.flush();
      if (durable) await this.#file.datasync();
    } finally {
      await this.#file.close();
    }
  }

  /** Closes after a failure; what is pending is dropped. */
  async abandon(): Promise<void> {
    this.#pending = [];
    await this.#file.close();
  }
}

/** The lines of a file in chunks of some 256 KiB; empty lines are left out. */
export async function* readLines(path: string): AsyncGenerator<readonly string[]> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES);
      if (bytesRead === 0) break;
      const text = rest + decoder.write(buffer.subarray(0, bytesRead));
      const end = text.lastIndexOf('\n');
      rest = text.slice(end + 1);
      if (rest.length > limits.tableRowBytesMax) throw longLine(path);
      if (end >= 0)
        yield text
          .slice(0, end)
          .split('\n')
          .filter((line) => line !== '');
    }
    if (rest !== '') yield [rest];
  } finally {
    await file.close();
  }
}

function longLine(path: string): TaskError {
  return new TaskError(
    'resources',
    'row_bytes',
    `a row in ${path} is longer than ${limits.tableRowBytesMax} bytes`,
  );
}
