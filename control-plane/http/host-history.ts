/**
 * The last readings of each device, for its charts. In memory, filled from heartbeats, bounded in
 * all: a small fleet keeps an hour of each device, a large one less of each. The oldest go first.
 */
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { HostPoint } from './live-messages.ts';

/** About 60 MB at most. */
const POINTS_MAX = 300_000;
const POINTS_PER_AGENT_MAX = 360;
const POINTS_PER_AGENT_MIN = 10;

export class HostHistory {
  readonly #byAgent = new Map<string, HostPoint[]>();

  add(agent: string, at: number, host: Heartbeat['host']): void {
    const points = this.#byAgent.get(agent) ?? [];
    if (points.length === 0) this.#byAgent.set(agent, points);
    points.push({ at, ...host });
    const share = Math.floor(POINTS_MAX / this.#byAgent.size);
    const most = Math.min(POINTS_PER_AGENT_MAX, Math.max(POINTS_PER_AGENT_MIN, share));
    if (points.length > most) points.splice(0, points.length - most);
  }

  /** Oldest first; `since` is inclusive. */
  points(agent: string, since = 0): readonly HostPoint[] {
    return (this.#byAgent.get(agent) ?? []).filter((point) => point.at >= since);
  }

  newest(agent: string): HostPoint | null {
    return this.#byAgent.get(agent)?.at(-1) ?? null;
  }

  forget(agent: string): void {
    this.#byAgent.delete(agent);
  }
}
