/**
 * Stands between desired state and the running jobs: lets through what the device's policy allows
 * (I8), and gives the reasons for what it does not. A document that does not parse passes: whoever
 * compiles it reports what is wrong, and it cannot run.
 *
 * What reads batch jobs is loaded with the first of them: an agent of stream jobs alone carries
 * nothing of it.
 */
import { parseStreamJobDocument } from '@runnel/shared/definitions/parse-stream-job.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { AgentPolicy } from './agent-policy.ts';
import { checkPolicy, type PolicySubject } from './check-policy.ts';

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

export async function gateJobs(
  jobs: readonly DesiredJob[],
  policy: AgentPolicy,
  dataDir: string,
): Promise<GatedJobs> {
  const admitted: DesiredJob[] = [];
  const refused: JobRefusal[] = [];
  for (const job of jobs) {
    const reasons = await reasonsAgainst(job, policy, dataDir);
    const { name, version, hash } = job;
    if (reasons.length === 0) admitted.push(job);
    else refused.push({ name, version, hash, reason: reasons.join('; ') });
  }
  return { admitted, refused };
}

async function reasonsAgainst(
  { document }: DesiredJob,
  policy: AgentPolicy,
  dataDir: string,
): Promise<readonly string[]> {
  try {
    return checkPolicy(await subjectOf(document), policy, dataDir);
  } catch (error) {
    if (error instanceof DefinitionError) return [];
    throw error;
  }
}

/** Throws `DefinitionError`. */
async function subjectOf(document: unknown): Promise<PolicySubject> {
  const isBatch = (document as { readonly kind?: unknown } | null)?.kind === 'BatchJob';
  if (!isBatch) return parseStreamJobDocument(document);
  const { parseJobDocument } = await import('@runnel/shared/definitions/parse-job.ts');
  const job = parseJobDocument(document);
  return job.kind === 'StreamJob' ? job : { sources: job.sources, sinks: [], tasks: job.tasks };
}
