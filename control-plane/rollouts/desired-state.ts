/**
 * Keeps the desired state of every agent in step with jobs, labels and approvals.
 *
 * Guarantees: a revision rises only when the content (job versions, parameters, tables, heartbeat
 * interval) changes, never because of time alone; it is in the store before an agent is told of
 * it, and signed with the key of now when it asks; it is always above what the agent reports, so
 * that a store restored from a backup does not issue revisions that devices refuse (DESIGN.md
 * §10). Changes run one after another: the last one that was asked for is the one that stands.
 *
 * Refused: agents that are not approved have no desired state at all; a job that an agent cannot
 * run is not placed there, which is told once and shown (`blockedOf`).
 */
import type { Kysely } from 'kysely';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type {
  DesiredReply,
  DesiredRequest,
  SignedDesired,
} from '@runnel/shared/protocol/desired.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import { agentById, type AgentRecord, agentsById, allAgents } from '../store/agents.ts';
import {
  type DesiredHead,
  desiredHeads,
  desiredOf,
  type DesiredRecord,
  putDesired,
  sweepDesiredContents,
} from '../store/desired.ts';
import type { Schema } from '../store/schema.ts';
import { Turns } from '../turns.ts';
import { AssignedJobs, type Assignment } from './assigned-jobs.ts';
import { loadJobs } from './load-jobs.ts';
import { contentText, payloadText, sha256 } from './desired-payload.ts';
import { type AgentFacts, type BlockedJob, type JobOfAgent, place } from './placement.ts';

export interface DesiredStateParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  /** Signs the exact text of a `desiredDocument`. */
  readonly sign: (payload: string) => SignedDesired;
  readonly heartbeatIntervalMs: number;
  /** Tells the agent; best effort, since it also asks on a timer. */
  readonly notifyChanged: (agent: string, revision: number) => void;
  /** The revision that the agent's last heartbeat reported; 0 when none is known. */
  readonly observedRevision: (agent: string) => number;
  /** What its rollout says of a job's versions; without it every agent has the job's own. */
  readonly assignment?: (job: string) => Assignment;
  /** Called after the desired state of these agents changed. */
  readonly changed: (agents: readonly string[]) => void;
  /** What it reported of itself: what it can do, what its policy allows. */
  readonly facts?: (agent: string) => AgentFacts;
  /**
   * Resolves when what agents reported is in the store: a crash must not forget by what they were
   * placed, or a job would go from a device and come back.
   */
  readonly reportsStored?: () => Promise<void>;
  /** A job that the agent was to have and cannot run; told once for each version and reason. */
  readonly blocked?: (agent: string, job: BlockedJob) => void;
  /** A stored job that placement cannot read: it is placed nowhere, and somebody must know. */
  readonly unreadable: (job: string, error: unknown) => void;
}

/** Agents written in one transaction. */
const CHUNK_AGENTS = 500;
/** Beyond it a counter could no longer be told from its successor. */
const REVISION_MAX = 2 ** 52;

interface Content {
  readonly hash: string;
  readonly text: string;
  readonly versions: ReadonlyMap<string, number>;
}

const NOTHING: ReadonlyMap<string, number> = new Map();
const NONE_BLOCKED: ReadonlyMap<string, BlockedJob> = new Map();

export class DesiredState {
  readonly #parts: DesiredStateParts;
  readonly #revisions = new Map<string, DesiredHead>();
  readonly #versions = new Map<string, ReadonlyMap<string, number>>();
  /** Agents that were given the same content under a new revision: once per content. */
  readonly #reissued = new Map<string, string>();
  readonly #blocked = new Map<string, ReadonlyMap<string, BlockedJob>>();
  /** By what it had said an agent was placed last. */
  readonly #placedBy = new Map<string, PlacedBy>();
  readonly #reported = new Set<string>();
  #placing: Promise<void> | undefined;
  readonly #turns = new Turns();
  /** What was blocked before a start was told then. */
  #tells = false;
  #jobs = new AssignedJobs([]);
  #waitingAll: Promise<void> | undefined;

  private constructor(parts: DesiredStateParts) {
    this.#parts = parts;
  }

  /** Reads what was issued and brings every agent up to date. */
  static async open(parts: DesiredStateParts): Promise<DesiredState> {
    const state = new DesiredState(parts);
    for (const head of await desiredHeads(parts.db)) state.#revisions.set(head.agent, head);
    await state.recomputeAll();
    state.#tells = true;
    return state;
  }

  /** The newest issued revision; 0 when nothing was. */
  revisionOf(agent: string): number {
    return this.#revisions.get(agent)?.revision ?? 0;
  }

  /** When that was issued, epoch ms; 0 when nothing was. */
  issuedAt(agent: string): number {
    return this.#revisions.get(agent)?.issuedAt ?? 0;
  }

  /** Job name → version that the agent is to run. */
  versionsOf(agent: string): ReadonlyMap<string, number> {
    return this.#versions.get(agent) ?? NOTHING;
  }

  /** Job name → why it is not placed there although its selector chooses the agent. */
  blockedOf(agent: string): ReadonlyMap<string, BlockedJob> {
    return this.#blocked.get(agent) ?? NONE_BLOCKED;
  }

  /** After a heartbeat: an agent that says that it can or may do other things is placed anew. */
  async reported(agent: string): Promise<void> {
    if (isPlacedBy(this.#placedBy.get(agent), this.#facts(agent))) return;
    this.#reported.add(agent);
    this.#placing ??= this.#turns.take(async () => {
      this.#placing = undefined;
      const ids = [...this.#reported];
      this.#reported.clear();
      await this.#parts.reportsStored?.();
      const found = await Promise.all(ids.map((id) => agentById(this.#parts.db, id)));
      await this.#bring(found.filter((record) => record !== undefined));
    });
    await this.#placing;
  }

  /** After a job changed. Calls that come while one waits for its turn share it. */
  recomputeAll(): Promise<void> {
    this.#waitingAll ??= this.#turns.take(async () => {
      this.#waitingAll = undefined;
      await this.#loadJobs();
      await this.#bring(await allAgents(this.#parts.db));
      await sweepDesiredContents(this.#parts.db);
    });
    return this.#waitingAll;
  }

  /** After a rollout told these agents another version. */
  recomputeSome(agents: readonly string[]): Promise<void> {
    return this.#turns.take(async () => {
      await this.#loadJobs();
      const found = await agentsById(this.#parts.db, agents);
      await this.#bring(found);
    });
  }

  /** After an agent was enrolled, approved, renamed or labelled. */
  recompute(agent: string): Promise<void> {
    return this.#turns.take(async () => {
      const record = await agentById(this.#parts.db, agent);
      if (record !== undefined) await this.#bring([record]);
    });
  }

  /** An agent was revoked or deleted: nothing is desired of it any more. */
  forget(agent: string): void {
    this.#revisions.delete(agent);
    this.#versions.delete(agent);
    this.#reissued.delete(agent);
    this.#blocked.delete(agent);
    this.#placedBy.delete(agent);
  }

  /** Waits until no change is under way. */
  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  /**
   * Answers `cp.<agent>.desired`. Errors: `revision_out_of_range`.
   *
   * `retry` goes to an agent without a desired state: it is not approved (any more), or is just
   * being enrolled.
   */
  async reply(request: DesiredRequest): Promise<DesiredReply> {
    const { db } = this.#parts;
    const stored = await desiredOf(db, request.agent);
    const current = await this.#aboveReported(request, stored);
    if (current === undefined) return { v: PROTOCOL_VERSION, status: 'retry' };
    const payload = payloadText(current);
    if (sha256(payload) === request.hash) return { v: PROTOCOL_VERSION, status: 'same' };
    return { v: PROTOCOL_VERSION, status: 'new', desired: this.#parts.sign(payload) };
  }

  async #aboveReported(
    request: DesiredRequest,
    stored: DesiredRecord | undefined,
  ): Promise<DesiredRecord | undefined> {
    const known = Math.max(request.revision, request.told);
    const behind = stored === undefined || known > stored.revision;
    if (!behind && !this.#sameRevisionOtherContent(request, stored)) return stored;
    if (known >= REVISION_MAX) {
      throw new RunnelError('revision_out_of_range', `agent reports revision ${known}`, {
        hint: 'enrol the device again',
      });
    }
    await this.#turns.take(async () => {
      const record = await agentById(this.#parts.db, request.agent);
      if (record !== undefined) await this.#bring([record], known);
    });
    return await desiredOf(this.#parts.db, request.agent);
  }

  /**
   * A restored store can come back to the agent's own revision with other content. The agent
   * would keep what it has, so the content is issued again, once: an agent that refuses the
   * document itself must not drive the revision up for ever.
   */
  #sameRevisionOtherContent(request: DesiredRequest, stored: DesiredRecord): boolean {
    if (request.revision !== stored.revision || request.hash === '') return false;
    if (this.#reissued.get(request.agent) === stored.contentHash) return false;
    if (sha256(payloadText(stored)) === request.hash) return false;
    this.#reissued.set(request.agent, stored.contentHash);
    return true;
  }

  async #loadJobs(): Promise<void> {
    this.#jobs = await loadJobs(this.#parts, this.#jobs);
  }

  /** `above`: issue anew over this revision, even when the content is the same. */
  async #bring(agents: readonly AgentRecord[], above?: number): Promise<void> {
    const contents = new Map<string, Content>();
    for (let start = 0; start < agents.length; start += CHUNK_AGENTS) {
      if (start > 0) await this.#parts.clock.sleep(0);
      const chunk = agents.slice(start, start + CHUNK_AGENTS);
      const heads: DesiredHead[] = [];
      const texts = new Map<string, string>();
      /** Told of although no revision was issued. */
      const unissued: string[] = [];
      for (const agent of chunk) {
        if (agent.status !== 'approved') {
          if (this.#versions.has(agent.id)) unissued.push(agent.id);
          this.forget(agent.id);
          continue;
        }
        const facts = this.#facts(agent.id);
        this.#placedBy.set(agent.id, placedBy(facts));
        const { placed, blocked } = place({ ...agent, ...facts }, this.#jobs.of(agent.id));
        if (this.#block(agent.id, blocked)) unissued.push(agent.id);
        const content = contentFor(placed, this.#parts.heartbeatIntervalMs, contents);
        const head = this.#next(agent.id, content, above);
        if (head !== undefined) {
          heads.push(head);
          texts.set(content.hash, content.text);
        }
        this.#versions.set(agent.id, content.versions);
      }
      await this.#issue(heads, texts);
      const changed = [...new Set([...heads.map((head) => head.agent), ...unissued])];
      if (changed.length > 0) this.#parts.changed(changed);
    }
  }

  #facts(agent: string): AgentFacts {
    return this.#parts.facts?.(agent) ?? {};
  }

  /** True when something else is blocked than before. */
  #block(agent: string, blocked: readonly BlockedJob[]): boolean {
    const before = this.blockedOf(agent);
    const now = new Map(blocked.map((job) => [job.name, job]));
    const news = blocked.filter((job) => !isSame(before.get(job.name), job));
    if (news.length === 0 && now.size === before.size) return false;
    if (now.size === 0) this.#blocked.delete(agent);
    else this.#blocked.set(agent, now);
    for (const job of news) {
      if (this.#tells && job.verdict !== 'unknown') this.#parts.blocked?.(agent, job);
    }
    return true;
  }

  #next(agent: string, content: Content, above?: number): DesiredHead | undefined {
    const old = this.#revisions.get(agent);
    const highest = Math.max(
      old?.revision ?? 0,
      above ?? 0,
      Math.min(this.#parts.observedRevision(agent), REVISION_MAX),
    );
    // Another turn may have gone over `above` already; then what it issued stands.
    const over = above === undefined || (old !== undefined && old.revision > above);
    if (over && old?.contentHash === content.hash && old.revision >= highest) return undefined;
    const issuedAt = this.#parts.clock.now();
    return { agent, revision: highest + 1, contentHash: content.hash, issuedAt };
  }

  async #issue(heads: readonly DesiredHead[], texts: ReadonlyMap<string, string>): Promise<void> {
    if (heads.length === 0) return;
    await putDesired(this.#parts.db, heads, texts);
    for (const head of heads) {
      this.#revisions.set(head.agent, head);
      this.#parts.notifyChanged(head.agent, head.revision);
    }
  }
}

function isSame(a: BlockedJob | undefined, b: BlockedJob): boolean {
  return a?.version === b.version && String(a.reasons) === String(b.reasons);
}

/** What placement went by, kept small: a fleet has ten thousand. */
interface PlacedBy {
  readonly capabilities: string | undefined;
  readonly rules: AgentFacts['rules'];
  readonly agentVersion: string | undefined;
}

function placedBy({ capabilities, rules, agentVersion }: AgentFacts): PlacedBy {
  return { capabilities: capabilities?.join(' '), rules, agentVersion };
}

function isPlacedBy(before: PlacedBy | undefined, facts: AgentFacts): boolean {
  const now = placedBy(facts);
  return (
    before?.capabilities === now.capabilities &&
    before?.rules === now.rules &&
    before?.agentVersion === now.agentVersion
  );
}

/** Agents with the same jobs and parameters share one content: a fleet is hashed once. */
function contentFor(
  placed: readonly JobOfAgent[],
  heartbeatIntervalMs: number,
  known: Map<string, Content>,
): Content {
  const key = JSON.stringify(
    placed.map(({ job, values }) => [job.name, job.desired.version, values.key]),
  );
  const found = known.get(key);
  if (found !== undefined) return found;
  const jobs = placed.map(({ job, values }) => ({ ...job.desired, parameters: values.given }));
  const text = contentText(jobs, heartbeatIntervalMs);
  const versions = new Map(jobs.map((job) => [job.name, job.version]));
  const isOwn = placed.some(({ values }) => values.isOwn);
  const content = { hash: sha256(text), text, versions };
  // What one agent alone has would only take room here.
  if (!isOwn) known.set(key, content);
  return content;
}
