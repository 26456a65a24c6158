/**
 * The fleet as the API and the page show it: who is enrolled (store), what is desired of them
 * (rollouts) and what they report (heartbeats), put together in memory so that ten thousand agents
 * are listed without a query each.
 *
 * Rows of agents and jobs are kept here and read again when this process changes them
 * (`refreshAgent`, `refreshJobs`); it is the store's only writer.
 */
import type { Kysely } from 'kysely';
import type { Heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import type { DesiredState } from '../rollouts/desired-state.ts';
import { type AgentFacts, type PlaceableAgent, selectorOf } from '../rollouts/placement.ts';
import { agentById, type AgentRecord, allAgents } from '../store/agents.ts';
import { type JobRecord, listJobs } from '../store/jobs.ts';
import type { Schema } from '../store/schema.ts';
import {
  agentDetail,
  agentItem,
  type AgentReport,
  jobPhaseOf,
  notPlacedText,
} from './agent-view.ts';
import type {
  AgentDetail,
  AgentItem,
  HostPoint,
  JobAgentItem,
  JobAgents,
  JobItem,
} from './live-messages.ts';
import type { RolloutItem } from './rollout-messages.ts';

export interface FleetViewParts {
  readonly db: Kysely<Schema>;
  readonly report: (agent: string) => AgentReport;
  readonly desired: Pick<DesiredState, 'revisionOf' | 'issuedAt' | 'versionsOf' | 'blockedOf'>;
  readonly newestHost: (agent: string) => HostPoint | null;
  /** The newest rollout of a job. */
  readonly rollout: (job: string) => RolloutItem | null;
  /** What it said of itself; nothing before its first heartbeat. */
  readonly facts: (agent: string) => AgentFacts;
}

const FAILED = new Set(['failed', 'refused', 'backoff']);
const RUNNING = new Set(['running', 'catchingUp']);

export class FleetView {
  readonly #parts: FleetViewParts;
  readonly #agents = new Map<string, AgentRecord>();
  /** `agents()` until one of them changes: sorting ten thousand costs more than most answers. */
  #sorted: readonly AgentRecord[] | undefined;
  #jobs: readonly JobRecord[] = [];

  private constructor(parts: FleetViewParts) {
    this.#parts = parts;
  }

  static async open(parts: FleetViewParts): Promise<FleetView> {
    const view = new FleetView(parts);
    for (const agent of await allAgents(parts.db)) view.#agents.set(agent.id, agent);
    await view.refreshJobs();
    return view;
  }

  /** After this agent's row changed or went. */
  async refreshAgent(id: string): Promise<void> {
    const record = await agentById(this.#parts.db, id);
    this.#sorted = undefined;
    if (record === undefined) this.#agents.delete(id);
    else this.#agents.set(id, record);
  }

  /** After a job was applied or deleted. */
  async refreshJobs(): Promise<void> {
    this.#jobs = await listJobs(this.#parts.db);
  }

  /** By id, or by name when exactly one agent that is not revoked has it. */
  find(idOrName: string): AgentRecord | undefined {
    const byId = this.#agents.get(idOrName);
    if (byId !== undefined) return byId;
    const named = [...this.#agents.values()].filter((agent) => agent.name === idOrName);
    const live = named.filter((agent) => agent.status !== 'revoked');
    if (live.length > 0) return live.length === 1 ? live[0] : undefined;
    return named.length === 1 ? named[0] : undefined;
  }

  /** As the store has it. */
  record(id: string): AgentRecord | undefined {
    return this.#agents.get(id);
  }

  /** False for one that waits, was revoked or is not known. */
  isApproved(id: string): boolean {
    return this.#agents.get(id)?.status === 'approved';
  }

  /** Every agent by name, then id. */
  agents(): readonly AgentRecord[] {
    this.#sorted ??= [...this.#agents.values()].toSorted(
      (a, b) => compare(a.name, b.name) || compare(a.id, b.id),
    );
    return this.#sorted;
  }

  /** As placement and selectors see it. */
  placeable(record: AgentRecord): PlaceableAgent {
    return { ...record, ...this.#parts.facts(record.id) };
  }

  item(id: string): AgentItem | undefined {
    const record = this.#agents.get(id);
    if (record === undefined) return undefined;
    return agentItem(record, this.#parts.report(id), this.#desiredOf(id));
  }

  itemOf(record: AgentRecord): AgentItem {
    return agentItem(record, this.#parts.report(record.id), this.#desiredOf(record.id));
  }

  detail(id: string): AgentDetail | undefined {
    const record = this.#agents.get(id);
    if (record === undefined) return undefined;
    const host = this.#parts.newestHost(id);
    return agentDetail(record, this.#parts.report(id), this.#desiredOf(id), host);
  }

  job(name: string): JobRecord | undefined {
    return this.#jobs.find((job) => job.name === name);
  }

  /** By name, with how many agents want, run or fail each. */
  jobItems(): JobItem[] {
    const counts = this.#count();
    return this.#jobs.map((job) => ({
      ...jobFields(job),
      agents: counts.get(job.name) ?? noAgents(),
      rollout: this.#parts.rollout(job.name),
    }));
  }

  /** Agents that want this job, cannot have it or still report it, by name. */
  jobAgents(name: string): JobAgentItem[] {
    const items: JobAgentItem[] = [];
    for (const record of this.agents()) {
      const report = this.#parts.report(record.id);
      const desired = this.#parts.desired.versionsOf(record.id).get(name);
      const reported = report.heartbeat?.jobs.find((job) => job.name === name);
      const blocked = this.#parts.desired.blockedOf(record.id).get(name);
      if (desired === undefined && reported === undefined && blocked === undefined) continue;
      if (record.status === 'revoked') continue;
      items.push({
        agent: record.id,
        name: record.name,
        connection: report.connection,
        version: reported?.version ?? null,
        phase: jobPhaseOf(reported, blocked),
        desiredVersion: desired ?? null,
        attempted: reported?.attempted ?? null,
        notPlaced: notPlacedText(blocked),
        batch: reported?.batch ?? null,
      });
    }
    return items;
  }

  #desiredOf(id: string) {
    return {
      revision: this.#parts.desired.revisionOf(id),
      issuedAt: this.#parts.desired.issuedAt(id),
      versions: this.#parts.desired.versionsOf(id),
      blocked: this.#parts.desired.blockedOf(id),
    };
  }

  /**
   * `running` and `failed` speak of the version that is desired: an agent that still runs the old
   * one is neither. An agent that is not connected is unknown, whatever it last said.
   */
  #count(): Map<string, MutableCounts> {
    const counts = new Map<string, MutableCounts>();
    for (const id of this.#agents.keys()) {
      const desired = this.#parts.desired.versionsOf(id);
      if (desired.size === 0) continue;
      const report = this.#parts.report(id);
      const known = report.connection === 'online' || report.connection === 'late';
      const byName = new Map(report.heartbeat?.jobs.map((job) => [job.name, job]));
      for (const [name, version] of desired) {
        const count = counts.get(name) ?? noAgents();
        counts.set(name, count);
        count.desired += 1;
        const job = byName.get(name);
        if (!known) count.unknown += 1;
        else if (job === undefined) continue;
        else if (job.version === version && RUNNING.has(job.phase)) count.running += 1;
        else if (hasFailed(job, version)) count.failed += 1;
      }
    }
    return counts;
  }
}

type MutableCounts = { -readonly [K in keyof JobAgents]: JobAgents[K] };

const noAgents = (): MutableCounts => ({ desired: 0, running: 0, failed: 0, unknown: 0 });

function hasFailed(job: Heartbeat['jobs'][number], version: number): boolean {
  if (job.attempted?.version === version && FAILED.has(job.attempted.phase)) return true;
  return job.version === version && FAILED.has(job.phase);
}

function jobFields(job: JobRecord): Omit<JobItem, 'agents' | 'rollout'> {
  return {
    name: job.name,
    kind: job.kind,
    version: job.version,
    hash: job.hash,
    labels: labelsOf(job.document),
    selector: selectorOf(job.document),
    paused: job.paused,
    generation: job.generation,
    updatedAt: job.updatedAt,
  };
}

function labelsOf(document: unknown): Record<string, string> {
  const { metadata } = document as { metadata?: { labels?: Record<string, string> } };
  return metadata?.labels ?? {};
}

/** By code unit: the same order everywhere, whatever the locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
