/** Rows that a task could not take: the first are kept, all are counted. */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DeadRow } from '../tasks/task.ts';

export class DeadRows {
  /** At most `limits.taskDeadRowsMax`: what is committed with the task. */
  readonly kept: DeadRow[] = [];
  count = 0;

  add(reason: string, message: string, value: unknown): void {
    this.count += 1;
    if (this.kept.length >= limits.taskDeadRowsMax) return;
    this.kept.push({ reason, message, value: (value ?? null) as Json });
  }

  /** Takes back what was added since there were `count`: it was looked at ahead of its turn. */
  forgetSince(count: number): void {
    this.count = count;
    this.kept.length = Math.min(this.kept.length, count);
  }
}
