/** The plan of a rollout over the devices that are enrolled now, as they are told and connected. */
import type { Kysely } from 'kysely';
import { allAgents } from '../store/agents.ts';
import { getVersion } from '../store/jobs.ts';
import type { Schema } from '../store/schema.ts';
import { type AgentFacts, place, placedJob } from './placement.ts';
import { ALL_AT_ONCE, type Candidate, type Plan, plan, type Wish } from './rollout-plan.ts';
import { isConnected, type SightParts } from './rollout-sights.ts';
import { type RolloutState, versionAt } from './rollout-state.ts';

interface PlanFleetParts {
  readonly db: Kysely<Schema>;
  readonly facts: (agent: string) => AgentFacts;
  readonly sights: Pick<SightParts, 'report'>;
}

/** `before`: the rollout whose devices go on from where they are. */
export async function planFleet(
  { db, facts, sights }: PlanFleetParts,
  wish: Wish,
  before: RolloutState | undefined,
): Promise<Plan> {
  const { job: name, version } = wish;
  const record = await getVersion(db, name, version);
  if (record === undefined) return { strategy: ALL_AT_ONCE, batches: 1, devices: new Map() };
  const { hash, document } = record;
  const placeable = placedJob({ name, version, hash, document });
  const fleet: Candidate[] = [];
  for (const each of await allAgents(db)) {
    const agent = { ...each, ...facts(each.id) };
    if (place(agent, [placeable]).placed.length === 0) continue;
    const connected = isConnected(sights.report(each.id).connection);
    const assigned = before === undefined ? null : versionAt(before, each.id);
    fleet.push({ agent, connected, assigned });
  }
  return plan(wish, fleet);
}
