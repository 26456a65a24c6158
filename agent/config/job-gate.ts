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
import { suggestion } from '@runnel/shared/expressions/suggest.ts';
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

/** `pools` are those of agent.yaml; undefined: any name will do. */
export async function gateJobs(
  jobs: readonly DesiredJob[],
  policy: AgentPolicy,
  dataDir: string,
  pools?: readonly string[],
): Promise<GatedJobs> {
  const admitted: DesiredJob[] = [];
  const refused: JobRefusal[] = [];
  for (const job of jobs) {
    const reasons = await reasonsAgainst(job, policy, dataDir, pools);
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
  pools: readonly string[] | undefined,
): Promise<readonly string[]> {
  try {
    const subject = await subjectOf(document);
    return [
      ...checkPolicy(subject, policy, dataDir),
      ...(pools === undefined ? [] : unknownPools(subject, pools)),
    ];
  } catch (error) {
    if (error instanceof DefinitionError) return [];
    throw error;
  }
}

/** A pool that is not there would bound nothing: a slip in its name is told, not run. */
function unknownPools({ tasks = [] }: PolicySubject, pools: readonly string[]): string[] {
  const known = ['default', ...pools];
  return tasks.flatMap(({ id, pool }) => {
    if (known.includes(pool)) return [];
    const hint = suggestion(pool, known) ?? `it has ${known.join(', ')}`;
    return [`tasks.${id}.pool: agent.yaml has no pool ${pool} (batch: pools): ${hint}`];
  });
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
  const job = parseJobDocument(document);
  return job.kind === 'StreamJob' ? job : { sources: job.sources, sinks: [], tasks: job.tasks };
}
