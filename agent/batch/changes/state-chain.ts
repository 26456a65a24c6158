/**
 * The states of a table that its change events have led through, one after the other as they were
 * committed, whatever their partitions are: runs may come in any order, be made again, and overlap.
 *
 *     partition   10:00   10:10   10:00 again   10:20
 *     n             1  ◀── 2  ◀──────  3  ◀────── 4      what each was compared with
 *
 * `n` grows with every state, and is at least the start of the partition, so that it goes on from
 * states of earlier versions, which have none, and from those that somebody purged. A partition has
 * one state: made again with other rows it leaves its place for the end, and `n` 1 is gone.
 */
import type { DatasetRecord, StateLink } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';

export interface ChainedState {
  readonly record: DatasetRecord;
  readonly link: StateLink;
}

export class StateChain {
  /** The oldest first. */
  readonly states: readonly ChainedState[];
  readonly last: ChainedState | undefined;
  /** Of the run's own partition. */
  readonly own: ChainedState | undefined;

  private constructor(states: readonly ChainedState[], id: string) {
    this.states = states;
    this.last = states.at(-1);
    this.own = states.find(({ record }) => record.partition === id);
  }

  /** As it is now; those of other keys of the job are chains of their own. */
  static of(dataset: string, { scope, services }: TaskContext): StateChain {
    const { id, key } = scope.partition;
    const records = services.datasets
      .partitions(dataset)
      .filter(({ partition }) => key === null || `${partition}/`.startsWith(`${key}/`));
    let after: number | null = null;
    const states = records.map((record) => {
      if (record.link !== undefined) return { record, link: record.link };
      const link: StateLink = { n: record.start, after, isSnapshot: after === null };
      after = record.start;
      return { record, link };
    });
    return new StateChain(
      states.toSorted((one, other) => one.link.n - other.link.n),
      id,
    );
  }

  /** What it was compared with; `null` is nothing, undefined that it is gone. */
  baseOf({ link }: ChainedState): ChainedState | null | undefined {
    return link.after === null ? null : this.states.find(({ link: { n } }) => n === link.after);
  }

  /** Throws a `TaskError` (`other`, `state_moved`) when a later state has been committed. */
  requireLast(now: StateChain): void {
    if (now.last?.link.n === this.last?.link.n) return;
    const by = now.last?.record.partition ?? 'another partition';
    const told = `the run of ${by} committed a state after this one had read the last`;
    throw new TaskError('other', 'state_moved', told, {
      hint: 'Let the task retry, or the runs follow each other (overlap: queue, maxActiveRuns: 1).',
    });
  }
}
