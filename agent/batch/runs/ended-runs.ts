/** Which of the runs that have ended go first when there is no room for all of them. */
import type { RunRecord } from '../records.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { BatchStore } from './batch-store.ts';
import { keys } from './job-record.ts';
import type { RunSet } from './run-set.ts';

export interface EndedRunsOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly runs: RunSet;
}

/**
 * At most `count` runs that ended first, over all jobs, of those that are `wanted`; the last that
 * ended of each job only when nothing else is left. None that is open, or of which something is
 * still to be written.
 */
export function oldestEnded(
  options: EndedRunsOptions,
  count: number,
  wanted: (run: RunRecord) => boolean = () => true,
): RunRecord[] {
  const hosts = [...options.jobs.hosts.values()];
  const lists = hosts.map((host) => new EndedRuns(options, host, wanted));
  const taken: RunRecord[] = [];
  for (const isSpared of [true, false]) {
    // Those that are spared go only where nothing else was left.
    if (taken.length > 0) break;
    while (taken.length < count) {
      let oldest: EndedRuns | undefined;
      for (const list of lists) {
        const head = list.head(isSpared);
        if (head === undefined) continue;
        if ((head.endedAt ?? 0) < (oldest?.head(isSpared)?.endedAt ?? Infinity)) oldest = list;
      }
      const run = oldest?.take();
      if (run === undefined) break;
      taken.push(run);
    }
  }
  return taken;
}

/** Of one job, in the order in which they were made; read one after the other. */
class EndedRuns {
  readonly #options: EndedRunsOptions;
  readonly #ids: readonly string[];
  readonly #last: string | undefined;
  readonly #wanted: (run: RunRecord) => boolean;
  #next = 0;
  #head: RunRecord | undefined;

  constructor(
    options: EndedRunsOptions,
    { name, record }: BatchJobHost,
    wanted: (run: RunRecord) => boolean,
  ) {
    this.#options = options;
    this.#wanted = wanted;
    this.#last = record.lastRun?.run;
    const ids = options.store.list<string>(['runs', name]).map(({ value }) => value);
    // The one to be spared comes last: it is taken when the others are.
    this.#ids = [
      ...ids.filter((id) => id !== this.#last),
      ...ids.filter((id) => id === this.#last),
    ];
  }

  head(isSpared: boolean): RunRecord | undefined {
    const { store, runs } = this.#options;
    for (; this.#head === undefined && this.#next < this.#ids.length; this.#next++) {
      const id = this.#ids[this.#next] as string;
      const run = store.get<RunRecord>(keys.run(id));
      if (run === undefined || run.endedAt === null || runs.get(id) !== undefined) continue;
      if (store.isPending(keys.run(id)) || !this.#wanted(run)) continue;
      this.#head = run;
    }
    return isSpared && this.#head?.id === this.#last ? undefined : this.#head;
  }

  take(): RunRecord | undefined {
    const run = this.#head;
    this.#head = undefined;
    return run;
  }
}
