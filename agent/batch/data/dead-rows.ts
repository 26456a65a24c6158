/** Rows that a task could not take: the first are kept, all are counted. */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DeadRow } from '../tasks/task.ts';

export class DeadRows {
  /**
   * At most `limits.taskDeadRowsMax` of at most `limits.taskDeadRowsBytesMax`, the first ones: what
   * is committed with the task.
   */
  readonly kept: DeadRow[] = [];
  /** Bytes of those that are kept, each with those before it. */
  readonly #bytes: number[] = [];
  count = 0;

  add(reason: string, message: string, value: unknown): void {
    this.count += 1;
    // What was left out stays out, or the kept ones were not the first.
    if (this.kept.length >= limits.taskDeadRowsMax || this.kept.length < this.count - 1) return;
    const row = { reason, message, value: (value ?? null) as Json };
    const bytes = (this.#bytes.at(-1) ?? 0) + Buffer.byteLength(JSON.stringify(row));
    if (bytes > limits.taskDeadRowsBytesMax) return;
    this.kept.push(row);
    this.#bytes.push(bytes);
  }

  /** Takes back what was added since there were `count`: it was looked at ahead of its turn. */
  forgetSince(count: number): void {
    this.count = count;
    this.kept.length = Math.min(this.kept.length, count);
    this.#bytes.length = this.kept.length;
  }
}
