/**
 * Which devices came after a join command was made: those unknown at that moment that carry the
 * labels of its token. Pure.
 */
import type { AgentItem } from '../../http/live-messages.ts';

export function newDevices(
  agents: Iterable<AgentItem>,
  knownBefore: ReadonlySet<string>,
  labels: Readonly<Record<string, string>>,
): AgentItem[] {
  const wanted = Object.entries(labels);
  return [...agents].filter(
    (agent) =>
      !knownBefore.has(agent.id) &&
      agent.status !== 'revoked' &&
      wanted.every(([key, value]) => agent.labels[key] === value),
  );
}
