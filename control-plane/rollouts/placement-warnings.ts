/** What a person who submits a job should know of where it will not run. Pure. */
import { missingOf, missingText } from './capabilities.ts';
import { blockedJobs, place, type PlaceableAgent, type PlacedJob } from './placement.ts';

const NAMED_MAX = 5;

/** One text for agents that cannot run it, one for those that did not say; none when all can. */
export function placementWarnings(
  job: PlacedJob,
  agents: readonly PlaceableAgent[],
  capabilities: (agent: string) => readonly string[] | undefined,
): string[] {
  const lacking: { readonly name: string; readonly reason: string }[] = [];
  let unknown = 0;
  let able = 0;
  for (const agent of agents) {
    const has = capabilities(agent.id);
    able += place(agent, [job], has).length;
    if (blockedJobs(agent, [job], has).length === 0) continue;
    const missing = missingOf(job.needs, has);
    if (missing === undefined || missing === null) unknown += 1;
    else lacking.push({ name: agent.name, reason: missingText(missing) });
  }
  const all = able + unknown + lacking.length;
  const of = `of ${all} ${all === 1 ? 'agent' : 'agents'}`;
  const warnings: string[] = [];
  if (lacking.length > 0) {
    const named = lacking.slice(0, NAMED_MAX).map(({ name, reason }) => `${name}: ${reason}`);
    const more = lacking.length > NAMED_MAX ? `; and ${lacking.length - NAMED_MAX} more` : '';
    warnings.push(
      `${lacking.length} ${of} cannot run it and will not get it (${named.join('; ')}${more})`,
    );
  }
  if (unknown > 0) {
    warnings.push(
      `${unknown} ${of} did not say yet what can run there; the job comes there when it can`,
    );
  }
  return warnings;
}
