/**
 * The fleet as the page knows it: one snapshot, then deltas. Pure: every step returns a new state
 * and leaves items that did not change identical, so that views can cache by identity.
 *
 * An agent's own view can be ahead of the fleet's by a second; both are whole items, and the
 * later message wins. `seen` for an agent that is unknown is ignored: its whole item follows.
 */
import type { AgentItem, JobItem, LiveMessage } from '../../http/live-messages.ts';

export interface FleetState {
  /** False until the first snapshot: the page shows that it loads, not that the fleet is empty. */
  readonly loaded: boolean;
  readonly agents: ReadonlyMap<string, AgentItem>;
  readonly jobs: ReadonlyMap<string, JobItem>;
  /** What to add to the browser's clock to get the server's. */
  readonly clockOffsetMs: number;
}

export const emptyFleet: FleetState = {
  loaded: false,
  agents: new Map(),
  jobs: new Map(),
  clockOffsetMs: 0,
};

/** `now` is the browser's clock at the message's arrival. */
export function applyMessage(state: FleetState, message: LiveMessage, now: number): FleetState {
  switch (message.type) {
    case 'snapshot':
      return {
        loaded: true,
        agents: byKey(message.agents, (agent) => agent.id),
        jobs: byKey(message.jobs, (job) => job.name),
        clockOffsetMs: offset(state, message.at, now),
      };
    case 'delta':
      return applyDelta(state, message, now);
    case 'ping':
      return { ...state, clockOffsetMs: offset(state, message.at, now) };
    case 'agent':
    case 'results':
    case 'runs':
    case 'run':
    case 'attention':
    case 'error':
      return state;
  }
}

function applyDelta(
  state: FleetState,
  delta: LiveMessage & { type: 'delta' },
  now: number,
): FleetState {
  const agents = new Map(state.agents);
  for (const agent of delta.agents) agents.set(agent.id, agent);
  for (const { id, lastSeenAt, outbox } of delta.seen) {
    const known = agents.get(id);
    if (known !== undefined) agents.set(id, { ...known, lastSeenAt, outbox });
  }
  for (const id of delta.removed) agents.delete(id);
  const jobsChanged = delta.jobs.length + delta.removedJobs.length > 0;
  const jobs = jobsChanged ? new Map(state.jobs) : state.jobs;
  if (jobs instanceof Map) {
    for (const job of delta.jobs) jobs.set(job.name, job);
    for (const name of delta.removedJobs) jobs.delete(name);
  }
  return { loaded: state.loaded, agents, jobs, clockOffsetMs: offset(state, delta.at, now) };
}

/**
 * Clocks differ, and a message takes a while: only a difference that a person would see is taken,
 * so that ages do not jitter by the network's delay.
 */
function offset(state: FleetState, at: number, now: number): number {
  const measured = at - now;
  return Math.abs(measured - state.clockOffsetMs) > 2000 ? measured : state.clockOffsetMs;
}

function byKey<T>(items: readonly T[], key: (item: T) => string): Map<string, T> {
  return new Map(items.map((item) => [key(item), item]));
}
