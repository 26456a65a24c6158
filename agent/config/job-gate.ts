/**
 * Stands between desired state and the running jobs: lets through what the device's policy allows
 * (I8), and gives the reasons for what it does not. A document that does not parse passes: whoever
 * compiles it reports what is wrong, and it cannot run.
 *
 * What reads documents is loaded with the first of them, that of batch jobs by itself: an agent
 * without jobs carries neither, one of stream jobs alone nothing of batch jobs.
 */
import { DefinitionError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import type { PolicySubject } from '@runnel/shared/policy/check-policy.ts';
import { type DeviceRules, policySubject, refusalsOf } from '@runnel/shared/policy/device-rules.ts';
import { pathRules } from './real-path.ts';

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

/** `pools` are those of agent.yaml; undefined: any name will do. */
export async function gateJobs(
  jobs: readonly DesiredJob[],
  policy: AgentPolicy,
  dataDir: string,
  pools?: readonly string[],
): Promise<GatedJobs> {
  const admitted: DesiredJob[] = [];
  const refused: JobRefusal[] = [];
  const rules: DeviceRules = { policy, paths: pathRules(policy, dataDir), pools };
  for (const job of jobs) {
    const reasons = await reasonsAgainst(job, rules);
    const { name, version, hash } = job;
    if (reasons.length === 0) admitted.push(job);
    else refused.push({ name, version, hash, reason: reasons.join('; ') });
  }
  return { admitted, refused };
}

async function reasonsAgainst(
  { document }: DesiredJob,
  rules: DeviceRules,
): Promise<readonly string[]> {
  try {
    return refusalsOf(await subjectOf(document), rules);
  } catch (error) {
    if (error instanceof DefinitionError) return [];
    throw error;
  }
}

/** Throws `DefinitionError`. */
async function subjectOf(document: unknown): Promise<PolicySubject> {
  const isBatch = (document as { readonly kind?: unknown } | null)?.kind === 'BatchJob';
  if (!isBatch) {
    const { parseStreamJobDocument } =
      await import('@runnel/shared/definitions/parse-stream-job.ts');
    return parseStreamJobDocument(document);
  }
  const { parseJobDocument } = await import('@runnel/shared/definitions/parse-job.ts');
  return policySubject(parseJobDocument(document));
}
