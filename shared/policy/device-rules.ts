/**
 * What one device allows jobs, and the judgement of a job by it: the same on the device, which
 * decides, and on the control plane, which tells before it sends. Pure.
 */
import type { BatchJob } from '../definitions/batch-job.ts';
import type { StreamJob } from '../definitions/stream-job.ts';
import { suggestion } from '../expressions/suggest.ts';
import { checkPolicy, type PolicyRules, type PolicySubject } from './check-policy.ts';
import type { PathRules } from './path-policy.ts';

export interface DeviceRules {
  readonly policy: PolicyRules;
  readonly paths: PathRules;
  /** Those of agent.yaml; undefined: any name will do. */
  readonly pools: readonly string[] | undefined;
}

/** Every reason why the device refuses the job; empty when it may run there. */
export function refusalsOf(subject: PolicySubject, rules: DeviceRules): readonly string[] {
  const { policy, paths, pools } = rules;
  return [
    ...checkPolicy(subject, policy, paths),
    ...(pools === undefined ? [] : unknownPools(subject, pools)),
  ];
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

/** What policy looks at in a job of either kind. */
export function policySubject(job: StreamJob | BatchJob): PolicySubject {
  return job.kind === 'StreamJob' ? job : { sources: job.sources, sinks: [], tasks: job.tasks };
}
