/**
 * Stands between desired state and the running jobs: lets through what the device's policy allows
 * (I8), and gives the reasons for what it does not. A document that does not parse passes: whoever
 * compiles it reports what is wrong, and it cannot run.
 */
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { AgentPolicy } from './agent-policy.ts';
import { checkPolicy } from './check-policy.ts';

export interface JobRefusal {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  /** Every reason, for people. */
  readonly reason: string;
}

export interface GatedJobs {
  readonly admitted: readonly DesiredJob[];
  readonly refused: readonly JobRefusal[];
}

export function gateJobs(
  jobs: readonly DesiredJob[],
  policy: AgentPolicy,
  dataDir: string,
): GatedJobs {
  const admitted: DesiredJob[] = [];
  const refused: JobRefusal[] = [];
  for (const job of jobs) {
    const reasons = reasonsAgainst(job, policy, dataDir);
    const { name, version, hash } = job;
    if (reasons.length === 0) admitted.push(job);
    else refused.push({ name, version, hash, reason: reasons.join('; ') });
  }
  return { admitted, refused };
}

function reasonsAgainst(job: DesiredJob, policy: AgentPolicy, dataDir: string): readonly string[] {
  try {
    const parsed = parseJobDocument(job.document);
    const { sources } = parsed;
    const subject =
      parsed.kind === 'StreamJob'
        ? { sources, sinks: parsed.sinks }
        : { sources, sinks: [], tasks: parsed.tasks };
    return checkPolicy(subject, policy, dataDir);
  } catch (error) {
    if (error instanceof DefinitionError) return [];
    throw error;
  }
}
