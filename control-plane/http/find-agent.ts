import { RunnelError } from '@runnel/shared/errors.ts';
import type { AgentRecord } from '../store/agents.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';

/** By id, or by a name that only one has. Errors: `not_found`, `agent_name_conflict`. */
export function findAgent(
  fleet: Pick<FleetView, 'find' | 'agents'>,
  idOrName: string,
): AgentRecord {
  const record = fleet.find(idOrName);
  if (record !== undefined) return record;
  const named = fleet.agents().filter((agent) => agent.name === idOrName);
  if (named.length < 2) throw notFound('agent', idOrName);
  throw new RunnelError('agent_name_conflict', `${named.length} agents are called ${idOrName}`, {
    hint: `use an id: ${named.map((agent) => agent.id).join(', ')}`,
  });
}
