/**
 * What a rollup remembers from one run to the next, for each key of the partition and item of
 * `forEach`, all in the one cursor of the task.
 *
 * Of the journal: the block up to which it has looked for late records, and periods that it has
 * seen records of and not computed, because they had not ended. Of a finer rollup: what each of its
 * own periods was merged from. Either may be older than what was done, which costs work and
 * changes nothing, because a period is always computed whole.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { TaskContext } from '../tasks/task.ts';

export interface JournalMark {
  readonly block: number;
  /** Starts of periods. */
  readonly pending: readonly number[];
}

/** By start of the period: how many finer partitions there were, and a hash of what they held. */
export type MergeMarks = Readonly<Record<string, readonly [count: number, hash: string]>>;

export interface RollupMark {
  readonly journal?: JournalMark;
  readonly merged?: MergeMarks;
}

function nameOf({ scope: { partition, index } }: TaskContext): string {
  return JSON.stringify([partition.key, index]);
}

export function readMark(context: TaskContext): RollupMark {
  const marks = (context.cursor ?? {}) as Readonly<Record<string, RollupMark>>;
  return marks[nameOf(context)] ?? {};
}

export function withMark(context: TaskContext, mark: RollupMark): Json {
  const marks = (context.cursor ?? {}) as Readonly<Record<string, Json>>;
  return { ...marks, [nameOf(context)]: mark as unknown as Json };
}
