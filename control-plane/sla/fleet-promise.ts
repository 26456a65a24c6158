/** A promise of the whole fleet: a share of the devices has reported a window in time. */
import type { SlaOf } from '@runnel/shared/definitions/sla.ts';
import { judge } from '@runnel/shared/sla/judge.ts';
import { slaTransition } from '@runnel/shared/sla/sla-state.ts';
import { FleetProgress } from './fleet-progress.ts';
import type { Looked, SlaEntry } from './sla-entry.ts';

export class FleetPromise {
  readonly entry: SlaEntry;
  readonly targeted = new Set<string>();
  readonly #kind: 'StreamJob' | 'BatchJob';
  readonly #progress = new FleetProgress();

  constructor(entry: SlaEntry, kind: 'StreamJob' | 'BatchJob') {
    this.entry = entry;
    this.#kind = kind;
  }

  /** Whether rows of this dataset tell how far a device has come. */
  takes(dataset: string): boolean {
    const wanted = this.#promise.dataset;
    return wanted === null || wanted === dataset;
  }

  /** A batch job that names no dataset is complete by its runs. */
  get takesRuns(): boolean {
    return this.#kind === 'BatchJob' && this.#promise.dataset === null;
  }

  /** True when it is news. */
  reported(agent: string, startAt: number, endAt: number): boolean {
    return this.#progress.reported(agent, startAt, endAt);
  }

  /** False: it was no device of the job. */
  leave(agent: string): boolean {
    this.#progress.forget(agent);
    return this.targeted.delete(agent);
  }

  /** What ended before `hearingSince`, or before the promise was made here, is not judged. */
  look(isSilent: (agent: string) => boolean, hearingSince: number, now: number): Looked {
    const promise = this.#promise;
    const { withinMs } = promise;
    const { end, next } = this.#progress.around(now - withinMs);
    const nextDueAt = next === null ? null : next + withinMs;
    const rest: Looked = { changes: [], nextAt: nextDueAt ?? Infinity };
    if (end === null || end < Math.max(hearingSince, this.entry.sinceAt)) return rest;
    let reported = 0;
    let unreachable = 0;
    for (const agent of this.targeted) {
      if (this.#progress.hasReported(agent, end)) reported += 1;
      else if (isSilent(agent)) unreachable += 1;
    }
    const due = { endAt: end, dueAt: end + withinMs };
    const facts = { due, nextDueAt, targeted: this.targeted.size, reported, unreachable };
    const judged = judge(promise, facts, now);
    if (judged === null) return rest;
    const { verdict: kind, from, cause } = judged;
    const step = slaTransition(this.entry.state, { kind, from, cause, holdMs: 0 }, now);
    this.entry.state = step.state;
    return { changes: step.effects, nextAt: judged.nextAt };
  }

  get #promise(): SlaOf<'completeness'> {
    return this.entry.promise.sla as SlaOf<'completeness'>;
  }
}
