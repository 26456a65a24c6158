/**
 * What one attempt sends to the control plane, counted row by row while the rows are read, so that
 * what is too much fails the attempt before it is in memory or in the outbox.
 *
 * Throws a `TaskError` (`resources`) that names the row: `results_rows` beyond
 * `limits.tableResultsMax`, `result_row_bytes` for one row, `results_bytes` for all together.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { TaskError } from '../tasks/task-error.ts';

/** What stands around the value of a row: names, times, and its place in a lane. */
const ROW_HEAD_BYTES = 512;

export class SentRows {
  #rows = 0;
  #bytes = 0;

  /** Before any of them is read. */
  expect(rows: number): void {
    if (this.#rows + rows > limits.tableResultsMax) throw tooMany(this.#rows + rows);
  }

  /** `number` is the row's own in its dataset, from 1. */
  add(dataset: string, number: number, key: Json, value: Json): void {
    this.#rows += 1;
    if (this.#rows > limits.tableResultsMax) throw tooMany(this.#rows);
    const bytes = jsonBytes(value) + (key === null ? 0 : jsonBytes(key));
    if (bytes > limits.resultRowBytesMax) {
      throw new TaskError(
        'resources',
        'result_row_bytes',
        `row ${number} of ${dataset} takes ${bytes} bytes; ` +
          `one that is sent takes at most ${limits.resultRowBytesMax}`,
        { hint: 'Select fewer columns or shorten texts, or keep the dataset on the device.' },
      );
    }
    this.#bytes += bytes + ROW_HEAD_BYTES;
    if (this.#bytes <= limits.taskResultsBytesMax) return;
    throw new TaskError(
      'resources',
      'results_bytes',
      `with row ${number} of ${dataset} the rows to be sent take more than ` +
        `${limits.taskResultsBytesMax} bytes`,
      { hint: 'Aggregate first, select fewer columns, or keep the dataset on the device.' },
    );
  }
}

function jsonBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function tooMany(rows: number): TaskError {
  return new TaskError(
    'resources',
    'results_rows',
    `${rows} rows are to be sent; one task sends at most ${limits.tableResultsMax}`,
    { hint: 'Aggregate first, or keep the dataset on the device.' },
  );
}
