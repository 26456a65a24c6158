/**
 * What runs say in numbers, for `/metrics`: how many ended and how, when each job succeeded last,
 * and what devices have going on. Ended runs are counted since this process began, as every
 * counter here; the last success is read from the store at the start.
 *
 * Labels are names of jobs that there are; what a device reports of another is left out.
 */
import type { Kysely } from 'kysely';
import type { FleetView } from '../http/fleet-view.ts';
import type { MetricFamily, MetricSample } from '../http/metrics.ts';
import type { RunChange } from '../intake/apply-runs.ts';
import type { FleetHealth } from '../intake/fleet-health.ts';
import { lastSuccesses } from '../store/runs.ts';
import type { Schema } from '../store/schema.ts';
import type { DeviceCommands } from './device-commands.ts';

export interface RunFactsParts {
  readonly fleet: Pick<FleetView, 'job' | 'agents'>;
  readonly health: Pick<FleetHealth, 'report'>;
  readonly commands: Pick<DeviceCommands, 'counters'>;
}

/** Sums by job and state. */
class JobStates {
  readonly #samples = new Map<string, { job: string; state: string; value: number }>();

  add(job: string, state: string, by: number): void {
    const key = `${job} ${state}`;
    const sample = this.#samples.get(key) ?? { job, state, value: 0 };
    this.#samples.set(key, { ...sample, value: sample.value + by });
  }

  samples(keep: (job: string) => boolean): MetricSample[] {
    return [...this.#samples.values()]
      .filter(({ job }) => keep(job))
      .map(({ job, state, value }) => ({ labels: { job, state }, value }));
  }
}

export class RunFacts {
  readonly #parts: RunFactsParts;
  readonly #ended = new JobStates();
  readonly #lastSuccess: Map<string, number>;

  static async open(db: Kysely<Schema>, parts: RunFactsParts): Promise<RunFacts> {
    return new RunFacts(parts, await lastSuccesses(db));
  }

  private constructor(parts: RunFactsParts, lastSuccess: Map<string, number>) {
    this.#parts = parts;
    this.#lastSuccess = lastSuccess;
  }

  /** After the commit that holds them. */
  stored(changes: readonly RunChange[]): void {
    for (const { job, ended } of changes) {
      if (ended === null || !this.#isKnown(job)) continue;
      this.#ended.add(job, ended.state, 1);
      if (ended.state !== 'success') continue;
      this.#lastSuccess.set(job, Math.max(ended.at, this.#lastSuccess.get(job) ?? 0));
    }
  }

  families(): MetricFamily[] {
    const known = (job: string): boolean => this.#isKnown(job);
    const successes = [...this.#lastSuccess].filter(([job]) => known(job));
    return [
      {
        name: 'runnel_runs_total',
        help: 'Runs of batch jobs that ended, by state.',
        type: 'counter',
        samples: this.#ended.samples(known),
      },
      {
        name: 'runnel_runs_open',
        help: 'Runs that devices have going on, as last reported.',
        type: 'gauge',
        samples: this.#open().samples(known),
      },
      {
        name: 'runnel_run_last_success_timestamp_seconds',
        help: 'When a run of the job succeeded last.',
        type: 'gauge',
        samples: successes.map(([job, at]) => ({ labels: { job }, value: at / 1000 })),
      },
      {
        name: 'runnel_device_commands_total',
        help: 'Commands to devices, by what became of them.',
        type: 'counter',
        samples: Object.entries(this.#parts.commands.counters).map(([outcome, value]) => ({
          labels: { outcome },
          value,
        })),
      },
    ];
  }

  #isKnown(job: string): boolean {
    return this.#parts.fleet.job(job) !== undefined;
  }

  #open(): JobStates {
    const sums = new JobStates();
    for (const { id, status } of this.#parts.fleet.agents()) {
      if (status !== 'approved') continue;
      for (const { name, batch } of this.#parts.health.report(id).heartbeat?.jobs ?? []) {
        if (batch === undefined) continue;
        sums.add(name, 'running', batch.activeRuns);
        sums.add(name, 'queued', batch.queuedRuns);
      }
    }
    return sums;
  }
}
