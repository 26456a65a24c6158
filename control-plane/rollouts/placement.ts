/**
 * Which jobs an agent is to run: approved agents whose labels match the job's `placement.selector`;
 * without a placement every approved agent. Pure.
 */
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { type Selector, selectorMatches } from '@runnel/shared/definitions/selector.ts';
import { effectiveLabels, parseSelector, type Selectable } from './selector.ts';

export interface PlacedJob {
  readonly name: string;
  readonly selector: Selector;
  readonly desired: DesiredJob;
}

export interface PlaceableJob {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly document: unknown;
}

export interface PlaceableAgent extends Selectable {
  readonly status: string;
}

/** Parses what placement needs of a stored job. Errors: `selector_invalid`. */
export function placedJob(job: PlaceableJob): PlacedJob {
  return {
    name: job.name,
    selector: parseSelector(selectorOf(job.document) ?? ''),
    desired: {
      name: job.name,
      version: job.version,
      hash: job.hash,
      document: job.document,
      parameters: defaultParameters(job.document),
      paused: false,
    },
  };
}

/** The jobs of `agent`, in the order of `jobs`. */
export function place(agent: PlaceableAgent, jobs: readonly PlacedJob[]): PlacedJob[] {
  if (agent.status !== 'approved') return [];
  const labels = effectiveLabels(agent);
  return jobs.filter((job) => selectorMatches(job.selector, labels));
}

/** `placement.selector` of a job document; null where it has none. */
export function selectorOf(document: unknown): string | null {
  const selector = member(member(document, 'placement'), 'selector');
  return typeof selector === 'string' ? selector : null;
}

/**
 * Parameters with a default, as they were written (the device converts durations);
 * layers over them (label, site, device) come on top later.
 */
export function defaultParameters(document: unknown): Record<string, unknown> {
  const declared = member(document, 'parameters');
  if (typeof declared !== 'object' || declared === null) return {};
  const entries = Object.entries(declared)
    .map(([name, spec]) => [name, member(spec, 'default')] as const)
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}
