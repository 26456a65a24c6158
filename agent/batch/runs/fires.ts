/**
 * What a time of a schedule makes: runs, judged by the overlap policy of their job.
 *
 * Guarantees: overlap is judged per fire: the runs of one fire (a job with keys) never stand in
 * each other's way, and runs of a backfill stand in nobody's. Where a time of the calendar comes
 * for what is done, or a run of the same partition is already open, none is made and that is
 * counted. What is no time of the calendar (an updated dataset, a disk that fills up, a start of
 * the agent) says that there is something to do: the partition is made again, by a new run of the
 * version that the job has now.
 *
 * Two policies are stricter about losing than their name says: what `misfire: runAll` makes up for
 * waits in any case, and an update of a dataset that comes while its consumer runs waits for the
 * next run also with `overlap: skip`.
 */
import type { Logger } from 'pino';
import type { Overlap } from '@runnel/shared/definitions/batch-job.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { RunTrigger } from '@runnel/shared/protocol/runs.ts';
import { covers } from '@runnel/shared/schedule/partitions.ts';
import type { PartitionRecord } from '../records.ts';
import type { DueRun } from '../schedule/schedule-plan.ts';
import type { BatchJobHost } from './batch-jobs.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys } from './job-record.ts';
import type { RunSet } from './run-set.ts';

export interface FiresOptions {
  readonly store: BatchStore;
  readonly runs: RunSet;
  readonly log: Logger;
}

export class Fires {
  readonly #options: FiresOptions;

  constructor(options: FiresOptions) {
    this.#options = options;
  }

  /** Runs of one instant; what starts none is added to `skipped`, by reason. */
  fire(
    tx: BatchTx,
    host: BatchJobHost,
    due: readonly DueRun[],
    skipped: Record<string, number>,
  ): void {
    const { runs, store } = this.#options;
    const { facts } = host;
    const [first] = due;
    if (facts === null || first === undefined) return;
    const count = (reason: string, more = 1): void => {
      skipped[reason] = (skipped[reason] ?? 0) + more;
    };
    const open = runs.open(host.name).map((each) => runs.runOf(each));
    const isDone = ({ partition, trigger }: DueRun): boolean => {
      const done = store.get<PartitionRecord>(keys.partition(host.name, partition.id));
      if (MAKES_AGAIN.has(trigger)) return false;
      return done?.state === 'success' && covers(done.partition, partition);
    };
    const wanted = due.filter((each) => !isDone(each));
    count('done', due.length - wanted.length);
    const fresh = wanted.filter(
      ({ partition }) => !open.some((run) => run.partition.id === partition.id),
    );
    count('same_partition', wanted.length - fresh.length);
    const others = open.filter(({ backfill }) => backfill === null);
    const waiting = others.filter(({ state }) => state === 'queued').length;
    const overlap = overlapOf(facts.schedule?.overlap ?? 'skip', first, facts.schedule?.misfire);
    if (
      (overlap === 'skip' && others.length > 0) ||
      (overlap === 'bufferOne' && waiting > 0) ||
      fresh.length === 0
    ) {
      count('overlap', fresh.length);
      dropZeros(skipped);
      return;
    }
    if (overlap === 'cancelOther') this.#cancelOthers(others.map(({ id }) => id));
    for (const [index, { partition, trigger, at, notBefore }] of fresh.entries()) {
      if (waiting + index >= limits.batchRunsQueuedMax) {
        count('queue_full', fresh.length - index);
        break;
      }
      runs.create(tx, host, facts, { partition, trigger, at, notBefore });
    }
    dropZeros(skipped);
  }

  #cancelOthers(ids: readonly string[]): void {
    const { runs, log } = this.#options;
    const reason = 'the next run of the job took its place';
    for (const id of ids) {
      // After the commit that is being gathered: it is a commit of its own.
      Promise.resolve()
        .then(() => runs.command(id, { kind: 'cancel', reason }))
        .catch((error: unknown) =>
          log.debug({ run: id, error: messageOf(error) }, 'not cancelled'),
        );
    }
  }
}

const MAKES_AGAIN: ReadonlySet<RunTrigger> = new Set(['dataset', 'disk', 'startup']);

function overlapOf(overlap: Overlap, { trigger }: DueRun, misfire: string | undefined): Overlap {
  if (trigger === 'catchUp' && misfire === 'runAll') return 'bufferAll';
  return trigger === 'dataset' && overlap === 'skip' ? 'bufferOne' : overlap;
}

/** Runs that are due at the same time by the same trigger. */
export function byFire(due: readonly DueRun[]): DueRun[][] {
  const fires = new Map<string, DueRun[]>();
  for (const run of due) {
    const fire = `${run.trigger} ${run.at}`;
    const same = fires.get(fire);
    if (same === undefined) fires.set(fire, [run]);
    else same.push(run);
  }
  return [...fires.values()];
}

function dropZeros(counts: Record<string, number>): void {
  for (const [reason, count] of Object.entries(counts)) if (count === 0) delete counts[reason];
}
