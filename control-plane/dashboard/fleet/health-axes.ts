/**
 * The health of a device axis by axis, the worst of each with its cause and since when: one word
 * for all of it would hide that a device with a full disk is connected and works. Pure.
 */
import type { AgentItem, Severity } from '../../http/live-messages.ts';
import { attentionOf, type Cause, SEVERITY_RANK } from './attention.ts';

export const AXES = ['connection', 'jobs', 'rollout', 'storage', 'resources', 'sources'] as const;
export type Axis = (typeof AXES)[number];

export interface AxisHealth {
  readonly axis: Axis | 'security';
  readonly severity: Severity;
  /** Empty where all is well. */
  readonly cause: string;
  readonly since: number | null;
}

/** Every axis, and security only where it has something to say. */
export function healthAxes(agent: AgentItem): AxisHealth[] {
  const { causes } = attentionOf(agent);
  const known: readonly AxisHealth['axis'][] = AXES;
  const named = causes.some(({ axis }) => axis === 'security') ? [...known, 'security'] : known;
  return named.map((axis) => healthOf(axis as AxisHealth['axis'], causes));
}

function healthOf(axis: AxisHealth['axis'], causes: readonly Cause[]): AxisHealth {
  const [worst] = causes
    .filter((cause) => cause.axis === axis)
    .sort((a, b) => SEVERITY_RANK[b.severity] - SEVERITY_RANK[a.severity]);
  if (worst === undefined) return { axis, severity: 'ok', cause: '', since: null };
  return { axis, severity: worst.severity, cause: worst.text, since: worst.since };
}
