/**
 * Which jobs an agent is to run: approved agents whose labels match the job's `placement.selector`
 * (without a placement every approved agent), and that can run it (capabilities.ts). Pure.
 */
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { type Selector, selectorMatches } from '@runnel/shared/definitions/selector.ts';
import { capabilitiesNeeded, type Missing, missingOf } from './capabilities.ts';
import { effectiveLabels, parseSelector, type Selectable } from './selector.ts';

export interface PlacedJob {
  readonly name: string;
  readonly selector: Selector;
  /** Capabilities without which an agent does not get it. */
  readonly needs: readonly string[];
  readonly desired: DesiredJob;
}

export interface PlaceableJob {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly document: unknown;
  readonly paused?: boolean;
}

/** A job that the selector would put on an agent which cannot run it, or has not said so. */
export interface BlockedJob {
  readonly name: string;
  readonly version: number;
  readonly missing: Missing;
}

export interface PlaceableAgent extends Selectable {
  readonly status: string;
}

/** Parses what placement needs of a job. Errors: `selector_invalid`, `definition_invalid`. */
export function placedJob(job: PlaceableJob): PlacedJob {
  return {
    name: job.name,
    selector: parseSelector(selectorOf(job.document) ?? ''),
    needs: capabilitiesNeeded(job.document),
    desired: {
      name: job.name,
      version: job.version,
      hash: job.hash,
      document: job.document,
      parameters: defaultParameters(job.document),
      paused: job.paused ?? false,
    },
  };
}

/** The jobs of `agent`, in the order of `jobs`; `capabilities` as it reported them, if it did. */
export function place(
  agent: PlaceableAgent,
  jobs: readonly PlacedJob[],
  capabilities?: readonly string[],
): PlacedJob[] {
  return chosen(agent, jobs).filter((job) => missingOf(job.needs, capabilities) === undefined);
}

export function blockedJobs(
  agent: PlaceableAgent,
  jobs: readonly PlacedJob[],
  capabilities?: readonly string[],
): BlockedJob[] {
  return chosen(agent, jobs).flatMap(({ name, needs, desired: { version } }) => {
    const missing = missingOf(needs, capabilities);
    return missing === undefined ? [] : [{ name, version, missing }];
  });
}

function chosen(agent: PlaceableAgent, jobs: readonly PlacedJob[]): PlacedJob[] {
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
