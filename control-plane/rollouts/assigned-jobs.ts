/**
 * Which version of each job an agent is to run. Where no rollout says otherwise all agents share
 * one list; while one is under way its devices differ. Pure.
 */
import type { PlacedJob } from './placement.ts';

/** What the rollout of a job says of versions. */
export interface Assignment {
  /** Every version that some device may have. */
  readonly versions: ReadonlySet<number>;
  /** For devices that `at` does not know; null for none. */
  readonly elsewhere: number | null;
  /** Undefined when all have the same. */
  readonly at: ((agent: string) => number | null) | undefined;
}

export interface AssignedJob {
  readonly assignment: Assignment;
  readonly byVersion: ReadonlyMap<number, PlacedJob>;
}

export class AssignedJobs {
  readonly #jobs: readonly AssignedJob[];
  readonly #shared: readonly PlacedJob[] | undefined;

  constructor(jobs: readonly AssignedJob[]) {
    this.#jobs = jobs;
    const isShared = jobs.every(({ assignment }) => assignment.at === undefined);
    this.#shared = isShared
      ? jobs.flatMap((job) => pick(job, job.assignment.elsewhere))
      : undefined;
  }

  of(agent: string): readonly PlacedJob[] {
    return (
      this.#shared ??
      this.#jobs.flatMap((job) => {
        const { at, elsewhere } = job.assignment;
        return pick(job, at === undefined ? elsewhere : at(agent));
      })
    );
  }

  version(name: string, version: number): PlacedJob | undefined {
    for (const { byVersion } of this.#jobs) {
      const job = byVersion.get(version);
      if (job?.name === name) return job;
    }
    return undefined;
  }
}

function pick({ byVersion }: AssignedJob, version: number | null): PlacedJob[] {
  const job = version === null ? undefined : byVersion.get(version);
  return job === undefined ? [] : [job];
}
