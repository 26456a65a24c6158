/**
 * The plan of a rollout: what the document asks for, and which device is in which batch. Pure.
 *
 * The batch of each device is fixed when the rollout begins. Within a batch that is a number or a
 * share devices come in the order of a hash of job and device: the same ones every time, spread
 * over all sites, and other ones for another job. Those that are connected come first: a first
 * batch of one device that is switched off would say nothing.
 */
import { createHash } from 'node:crypto';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import type { Rollout } from '@runnel/shared/definitions/rollout.ts';
import type { Device } from './rollout-device.ts';
import { parseSelector, type Selectable, selects } from './selector.ts';

/** For devices that go back in a rollout whose document sets none. */
export const DEVICE_TIMEOUT_MS = 600_000;

/** What a document asks for, in numbers of this fleet. */
export interface Strategy {
  /** False: all at once, and nothing is judged. */
  readonly gated: boolean;
  readonly pauseMs: number;
  /** Null: a device may take as long as it likes. */
  readonly deviceTimeoutMs: number | null;
  /** Devices; null for no bound but the batch. */
  readonly maxUnavailable: number | null;
  readonly approval: 'auto' | 'manual';
  readonly minHealthy: number;
  /** Names of the SLAs that the gate asks for. */
  readonly slas: readonly string[];
  readonly onFailure: 'rollback' | 'pause' | 'continue';
}

export const ALL_AT_ONCE: Strategy = {
  gated: false,
  ...{ pauseMs: 0, deviceTimeoutMs: null, maxUnavailable: null, approval: 'auto' },
  ...{ minHealthy: 0, slas: [], onFailure: 'continue' },
};

export interface Candidate {
  readonly agent: Selectable;
  readonly connected: boolean;
  /** What it is told to run now. */
  readonly assigned: number | null;
}

export interface Plan {
  readonly strategy: Strategy;
  readonly batches: number;
  /** In the order in which they are told. */
  readonly devices: ReadonlyMap<string, Device>;
}

export interface Wish {
  readonly job: string;
  readonly version: number;
  /** Null: all at once, whatever the document says. */
  readonly document: unknown;
}

export function plan({ job, version, document }: Wish, fleet: readonly Candidate[]): Plan {
  const definition = document === null ? null : parseJobDocument(document);
  const rollout = definition?.rollout ?? null;
  if (definition === null || rollout === null) return allAtOnce(version, fleet);
  const ordered = inOrder(job, fleet);
  const batchOf = batchesOf(rollout.batches, ordered);
  const indices = [...new Set(batchOf.values())].toSorted((a, b) => a - b);
  const devices = new Map<string, Device>();
  // An empty batch would be a pause for nothing: the others close up.
  for (const [batch, index] of indices.entries()) {
    for (const each of ordered) {
      if (batchOf.get(each.agent.id) !== index) continue;
      devices.set(each.agent.id, deviceOf(each, batch, version));
    }
  }
  const slas = definition.sla.map(({ name }) => name);
  const strategy = strategyOf(rollout, fleet.length, slas);
  return { strategy, batches: Math.max(1, indices.length), devices };
}

function allAtOnce(version: number, fleet: readonly Candidate[]): Plan {
  const devices = new Map<string, Device>();
  for (const each of fleet) {
    const device = deviceOf(each, 0, version);
    const status = each.connected ? 'updating' : 'unknown';
    devices.set(each.agent.id, { ...device, assigned: version, moved: true, status });
  }
  return { strategy: ALL_AT_ONCE, batches: 1, devices };
}

function strategyOf(rollout: Rollout, fleet: number, slas: readonly string[]): Strategy {
  const { pauseBetween, deviceTimeout, maxUnavailable, approval, gate, onFailure } = rollout;
  return {
    gated: true,
    pauseMs: pauseBetween,
    deviceTimeoutMs: deviceTimeout,
    maxUnavailable: budgetOf(maxUnavailable, fleet),
    approval,
    minHealthy: gate.minHealthy,
    slas: gate.sla === 'all' ? slas : (gate.sla ?? []),
    onFailure,
  };
}

/** A share is rounded down: it is a promise. Less than one would be no rollout at all. */
function budgetOf(budget: Rollout['maxUnavailable'], fleet: number): number | null {
  if (budget === undefined) return null;
  return 'agents' in budget ? budget.agents : Math.max(1, Math.floor(budget.share * fleet));
}

function inOrder(job: string, fleet: readonly Candidate[]): Candidate[] {
  const keyed = fleet.map((each) => {
    const hash = createHash('sha256').update(`${job}\n${each.agent.id}`).digest('hex');
    return { each, key: `${each.connected ? 0 : 1}${hash}` };
  });
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
  return keyed.map(({ each }) => each);
}

/** Agent → index in `batches`; who is left comes behind the last. */
function batchesOf(
  batches: Rollout['batches'],
  ordered: readonly Candidate[],
): ReadonlyMap<string, number> {
  const batchOf = new Map<string, number>();
  for (const [index, batch] of batches.entries()) {
    const free = ordered.filter(({ agent }) => !batchOf.has(agent.id));
    const taken =
      'selector' in batch
        ? matching(batch.selector, free)
        : free.slice(0, Math.max(0, sizeOf(batch, ordered.length) - batchOf.size));
    for (const { agent } of taken) batchOf.set(agent.id, index);
  }
  for (const { agent } of ordered) {
    if (!batchOf.has(agent.id)) batchOf.set(agent.id, batches.length);
  }
  return batchOf;
}

function matching(text: string, candidates: readonly Candidate[]): Candidate[] {
  const selector = parseSelector(text);
  return candidates.filter(({ agent }) => selects(selector, agent));
}

function sizeOf(batch: { agents: number } | { share: number }, all: number): number {
  return 'agents' in batch ? batch.agents : Math.ceil(batch.share * all);
}

function deviceOf(
  { agent, connected, assigned }: Candidate,
  batch: number,
  version: number,
): Device {
  const told = assigned === version;
  return {
    ...{ name: agent.name, batch, assigned },
    ...{ moved: false, sinceMs: 0, toldAt: 0, applied: false, reached: false },
    status: !connected ? 'unknown' : told ? 'updating' : 'pending',
    ...{ heard: true, excused: false, reason: '' },
  };
}
