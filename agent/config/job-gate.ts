/**
 * Stands between desired state and the running jobs: lets through what the device's policy allows
 * (I8), and keeps the reasons for what it does not.
 *
 * Guarantees: a refused job does not run and is reported with phase `refused` and every reason;
 * all others run. When a new version of a running job is refused, the version that was let through
 * before goes on, and the report says both. A document that does not parse passes: whoever compiles
 * it reports what is wrong, and it cannot run.
 */
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { AgentPolicy } from './agent-policy.ts';
import { checkPolicy } from './check-policy.ts';

export interface JobGateOptions {
  readonly policy: AgentPolicy;
  readonly dataDir: string;
  readonly clock: Clock;
}

type Attempt = NonNullable<JobReport['attempted']>;

export class JobGate {
  readonly #options: JobGateOptions;
  readonly #admitted = new Map<string, DesiredJob>();
  readonly #refused = new Map<string, Attempt>();

  constructor(options: JobGateOptions) {
    this.#options = options;
  }

  /** The jobs that may run, of a whole desired document. */
  admit(jobs: readonly DesiredJob[]): DesiredJob[] {
    const names = new Set(jobs.map((job) => job.name));
    for (const name of this.#admitted.keys()) if (!names.has(name)) this.#admitted.delete(name);
    this.#refused.clear();
    return jobs.flatMap((job) => {
      const reasons = this.#reasons(job);
      if (reasons.length === 0) {
        this.#admitted.set(job.name, job);
        return [job];
      }
      const at = this.#options.clock.now();
      const reason = reasons.join('; ');
      this.#refused.set(job.name, { version: job.version, phase: 'refused', reason, at });
      const before = this.#admitted.get(job.name);
      return before === undefined ? [] : [{ ...before, paused: job.paused }];
    });
  }

  /** The runtime's reports, with the refusals in them. */
  reports(running: readonly JobReport[]): JobReport[] {
    const reports = running.map((report) => {
      const attempted = this.#refused.get(report.name);
      return attempted === undefined ? report : { ...report, attempted };
    });
    const reported = new Set(running.map((report) => report.name));
    for (const [name, attempted] of this.#refused) {
      if (!reported.has(name)) reports.push(refusedReport(name, attempted));
    }
    return reports;
  }

  #reasons(job: DesiredJob): readonly string[] {
    const { policy, dataDir } = this.#options;
    try {
      return checkPolicy(parseJobDocument(job.document), policy, dataDir);
    } catch (error) {
      if (error instanceof DefinitionError) return [];
      throw error;
    }
  }
}

function refusedReport(name: string, attempted: Attempt): JobReport {
  return {
    name,
    version: null,
    phase: 'refused',
    attempted,
    watermark: null,
    lagRecords: 0,
    recordsIn: 0,
    recordsOut: 0,
    late: 0,
    deadLetters: 0,
    dropped: {},
    stateKeys: 0,
  };
}
