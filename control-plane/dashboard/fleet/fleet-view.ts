/**
 * From the fleet's state to the rows of the list: search, filter, sort, count. Pure, and fast
 * enough for 10,000 devices once a second: what depends on one item is cached by its identity.
 */
import { HEALTH_STATES, type HealthAxis } from '@runnel/shared/health/device-health.ts';
import type { AgentItem, ConnectionState } from '../../http/live-messages.ts';
import { type Attention, attentionOf, LEVELS } from './attention.ts';
import { readSelector, selectsItem } from './fleet-selector.ts';

export const FACETS = ['attention', 'offline', 'late', 'online', 'never', 'pending'] as const;
export type Facet = (typeof FACETS)[number] | 'revoked';
export const SORTS = ['attention', 'name', 'lastSeen', 'version'] as const;
export type Sort = (typeof SORTS)[number];

export interface FleetFilter {
  /** Every word must occur in name, id, labels, version or jobs. */
  readonly search: string;
  /** Null: every device that is not revoked. */
  readonly facet: Facet | null;
  /** As placement has them; one that cannot be read chooses every device, and is told as wrong. */
  readonly selector: string;
  /** Only devices that are not well, or not known to be, on this axis. */
  readonly axis: HealthAxis | null;
  readonly sort: Sort;
}

export const noFilter: FleetFilter = {
  ...{ search: '', facet: null, selector: '', axis: null, sort: 'attention' },
};

export interface FleetRow {
  readonly agent: AgentItem;
  readonly attention: Attention;
  readonly haystack: string;
}

export type FleetCounts = Readonly<Record<Facet | 'all', number>>;

const rows = new WeakMap<AgentItem, FleetRow>();

export function rowOf(agent: AgentItem): FleetRow {
  const known = rows.get(agent);
  if (known !== undefined) return known;
  const words = [agent.name, agent.id, agent.version, ...labelPairs(agent)];
  const haystack = [...words, ...agent.jobs.map((job) => job.name)].join('\n').toLowerCase();
  const row = { agent, attention: attentionOf(agent), haystack };
  rows.set(agent, row);
  return row;
}

export function labelPairs(agent: AgentItem): string[] {
  return Object.entries(agent.labels).map(([key, value]) => `${key}=${value}`);
}

export function inFacet(row: FleetRow, facet: Facet | null): boolean {
  const { status, connection } = row.agent;
  if (facet === 'revoked' || facet === 'pending') return status === facet;
  if (status === 'revoked') return false;
  if (facet === null) return true;
  if (facet === 'attention') return LEVELS[row.attention.level] >= LEVELS.warning;
  return status === 'approved' && connection === facet;
}

export function selectRows(agents: Iterable<AgentItem>, filter: FleetFilter): FleetRow[] {
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  const read = readSelector(filter.selector);
  const { axis } = filter;
  const selected: FleetRow[] = [];
  for (const agent of agents) {
    const row = rowOf(agent);
    if (!inFacet(row, filter.facet)) continue;
    if (!words.every((word) => row.haystack.includes(word))) continue;
    if ('selector' in read && !selectsItem(read.selector, agent)) continue;
    if (axis !== null && healthRank(row, axis) < UNWELL) continue;
    selected.push(row);
  }
  const compare = COMPARE[filter.sort];
  if (axis === null || filter.sort !== 'attention') return selected.sort(compare);
  return selected.sort((a, b) => healthRank(b, axis) - healthRank(a, axis) || compare(a, b));
}

const UNWELL = HEALTH_STATES.indexOf('unknown');

function healthRank({ agent }: FleetRow, axis: HealthAxis): number {
  return HEALTH_STATES.indexOf(agent.health.axes[axis].state);
}

/** Numbers inside names count as numbers: press-9 comes before press-10. */
const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

function byName(a: FleetRow, b: FleetRow): number {
  return collator.compare(a.agent.name, b.agent.name) || (a.agent.id < b.agent.id ? -1 : 1);
}

/** Offline before failing before late within one level: the state that hides most goes first. */
const CONNECTION_RANK: Readonly<Record<ConnectionState, number>> = {
  offline: 3,
  late: 2,
  never: 1,
  online: 0,
};

function byAttention(a: FleetRow, b: FleetRow): number {
  return (
    LEVELS[b.attention.level] - LEVELS[a.attention.level] ||
    CONNECTION_RANK[b.agent.connection] - CONNECTION_RANK[a.agent.connection] ||
    byName(a, b)
  );
}

const COMPARE: Readonly<Record<Sort, (a: FleetRow, b: FleetRow) => number>> = {
  attention: byAttention,
  name: byName,
  // Longest silent first; never seen is the longest.
  lastSeen: (a, b) => (a.agent.lastSeenAt ?? 0) - (b.agent.lastSeenAt ?? 0) || byName(a, b),
  version: (a, b) => collator.compare(a.agent.version, b.agent.version) || byName(a, b),
};

export function countFleet(agents: Iterable<AgentItem>): FleetCounts {
  const counts = {
    all: 0,
    attention: 0,
    offline: 0,
    late: 0,
    online: 0,
    never: 0,
    pending: 0,
    revoked: 0,
  };
  for (const agent of agents) {
    if (agent.status !== 'approved') counts[agent.status] += 1;
    else counts[agent.connection] += 1;
    if (agent.status !== 'revoked') counts.all += 1;
    if (inFacet(rowOf(agent), 'attention')) counts.attention += 1;
  }
  return counts;
}

/** The label pairs of the fleet with how many devices carry each, by key and value, bounded. */
export function labelCounts(agents: Iterable<AgentItem>, max = 200): [string, number][] {
  const counts = new Map<string, number>();
  for (const agent of agents) {
    if (agent.status === 'revoked') continue;
    for (const pair of labelPairs(agent)) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || collator.compare(a, b))
    .slice(0, max)
    .sort(([a], [b]) => collator.compare(a, b));
}

/** `3 running`, `1 failed · 2 running`: broken first, in words. */
export function summariseJobs(agent: AgentItem): { text: string; broken: boolean } {
  const counts = new Map<string, number>();
  for (const job of agent.jobs) counts.set(job.phase, (counts.get(job.phase) ?? 0) + 1);
  const rank = (phase: string): number => JOB_RANK.indexOf(phase);
  const parts = [...counts].sort(([a], [b]) => rank(a) - rank(b));
  const text = parts.map(([phase, count]) => `${count} ${phaseWord(phase)}`).join(' · ');
  const broken = parts.some(([phase]) => ['failed', 'refused', 'backoff'].includes(phase));
  return { text: text || 'none', broken };
}

const JOB_RANK = [
  'failed',
  'refused',
  'backoff',
  'pending',
  'starting',
  'catchingUp',
  'paused',
  'stopped',
  'running',
];

const PHASE_WORDS: Readonly<Record<string, string>> = {
  catchingUp: 'catching up',
  backoff: 'retrying',
};

export function phaseWord(phase: string): string {
  return PHASE_WORDS[phase] ?? phase;
}
