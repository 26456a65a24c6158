/** Rows that a task could not take: the first are kept, all are counted by reason. */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DeadRow } from '../tasks/task.ts';

export class DeadRows {
  /** At most `limits.taskDeadRowsMax`: what is committed with the task. */
  readonly kept: DeadRow[] = [];
  count = 0;
  /** Of all, by reason. */
  readonly reasons: Record<string, number> = {};

  add(reason: string, message: string, value: unknown): void {
    this.count += 1;
    this.reasons[reason] = (this.reasons[reason] ?? 0) + 1;
    if (this.kept.length >= limits.taskDeadRowsMax) return;
    this.kept.push({ reason, message, value: (value ?? null) as Json });
  }
}
