/** The devices of a rollout as lists show them: also those that came later, and after its end. */
import type { RolloutAgentItem } from '../http/rollout-messages.ts';
import { type Device, judge } from './rollout-device.ts';
import { sightOf, type SightParts } from './rollout-sights.ts';
import { hasEnded, type RolloutState, versionElsewhere } from './rollout-state.ts';

interface Named {
  readonly id: string;
  readonly name: string;
}

/** By batch, then name. `others`: agents that the job concerns. */
export function rolloutAgents(
  state: RolloutState,
  others: readonly Named[],
  parts: SightParts,
): RolloutAgentItem[] {
  const planned = [...state.devices].map(([id, device]) => itemOf(state, id, device, parts));
  const came = others
    .filter(({ id }) => !state.devices.has(id))
    .map(({ id, name }) => {
      const item = itemOf(state, id, unplanned(name, versionElsewhere(state)), parts);
      return item && { ...item, batch: null };
    });
  return [...planned, ...came]
    .filter((item) => item !== undefined)
    .toSorted((a, b) => batchOf(a) - batchOf(b) || (a.name < b.name ? -1 : 1));
}

function batchOf({ batch }: RolloutAgentItem): number {
  return batch ?? Number.MAX_SAFE_INTEGER;
}

/** Undefined for one where the job is no longer placed. */
function itemOf(
  state: RolloutState,
  agent: string,
  planned: Device,
  parts: SightParts,
): RolloutAgentItem | undefined {
  const { connection } = parts.report(agent);
  const sight = sightOf(parts, agent, state);
  const desiredVersion = parts.desired.versionsOf(agent).get(state.job) ?? null;
  const isPlan = state.devices.has(agent) && !hasEnded(state);
  const device = isPlan ? planned : judged(planned, state, sight);
  if (device.status === 'gone') return undefined;
  return {
    ...{ agent, name: device.name, connection, batch: device.batch + 1 },
    state: device.status,
    version: sight.job?.version ?? null,
    desiredVersion,
    reason: device.reason,
  };
}

/** Nothing of the rollout's is judged any more: what is shown is how the device is now. */
function judged(device: Device, state: RolloutState, sight: Parameters<typeof judge>[1]): Device {
  const back = state.phase === 'rollingBack' || state.phase === 'rolledBack';
  const target = back ? state.from : state.version;
  const by = { target, clockMs: 0, deviceTimeoutMs: null, pausedWillDo: true };
  return judge(device, sight, by);
}

function unplanned(name: string, assigned: number | null): Device {
  return {
    ...{ name, batch: 0, assigned, moved: false, sinceMs: 0, toldAt: 0 },
    ...{ status: 'pending', applied: true, reached: false, heard: true, excused: false },
    reason: '',
  };
}
