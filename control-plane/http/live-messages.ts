/**
 * What `/api/v1/live` and the REST resources of agents, jobs and results carry. Types only: the
 * server and the page both import this file, and nothing else of each other.
 *
 * The websocket: on connect the server sends one `snapshot` of the fleet. Then at most one message
 * per second and view: `delta` (only what changed), `agent`, `results`, `runs` (those that
 * changed), `run`, `attention` (whole, and bounded). A `ping` comes every 5 seconds; a page that
 * hears nothing for 15 seconds has lost its server. Whoever reads too slowly is closed with code
 * 1013 and connects again, which gives a fresh snapshot.
 *
 * The client may send `{subscribe: view}` and `{unsubscribe: view}` as JSON text. The fleet view is
 * on from the start. Times are epoch milliseconds.
 */
import type { ConnectionState, DeviceHealth } from '@runnel/shared/health/device-health.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type { AlertItem } from './alert-messages.ts';
import type { RolloutItem } from './rollout-messages.ts';
import type { BatchItem, RunDetail, RunItem } from './run-messages.ts';
import type { SlaCounts, SlaItem } from './sla-messages.ts';

export type { ConnectionState };
export type AgentStatus = 'approved' | 'pending' | 'revoked';
export type Severity = 'ok' | 'info' | 'warning' | 'error';

export type ConditionItem = Condition;

/** What was last tried; differs from what runs while a new version cannot start. */
export interface AttemptedItem {
  readonly version: number;
  readonly phase: string;
  readonly reason: string;
  readonly at: number;
}

/** A job on an agent: desired and reported, kept apart. */
export interface AgentJobItem {
  readonly name: string;
  /** The version that runs, null when none does. */
  readonly version: number | null;
  /** `running` when it runs; `pending` when it is desired and not reported yet. */
  readonly phase: string;
  /** Null when the job is no longer desired there. */
  readonly desiredVersion: number | null;
  readonly attempted: AttemptedItem | null;
  /** Why it is not placed there although its selector chooses the device, or null. */
  readonly notPlaced: string | null;
  /** The newest run of a batch job that ended, when it failed. */
  readonly failedRun: FailedRunItem | null;
}

export interface FailedRunItem {
  readonly run: string;
  readonly partition: string;
  readonly endedAt: number;
}

/** The counters of a job on one agent; only in the view of that agent. */
export interface AgentJobDetail extends AgentJobItem {
  readonly watermark: number | null;
  readonly lagRecords: number;
  readonly recordsIn: number;
  readonly recordsOut: number;
  readonly late: number;
  readonly deadLetters: number;
  /** Dead letters by `<step>: <reason>`; none where the agent does not say. */
  readonly deadLettersBy: Readonly<Record<string, number>>;
  /** Dropped records by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly stateKeys: number;
  /** Of a batch job; null of a stream job. */
  readonly batch: BatchItem | null;
}

export interface OutboxItem {
  readonly rows: number;
  readonly bytes: number;
  readonly oldestAt: number | null;
  readonly lost: number;
}

export interface PlatformItem {
  readonly os: string;
  readonly arch: string;
  readonly node: string;
}

/** An item of `GET /api/v1/agents` and of the fleet view. */
export interface AgentItem {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: AgentStatus;
  readonly connection: ConnectionState;
  /** The agent's own release. */
  readonly version: string;
  readonly platform: PlatformItem;
  readonly enrolledAt: number;
  readonly lastSeenAt: number | null;
  /** The worst of five axes, and each of them. */
  readonly health: DeviceHealth;
  readonly conditions: readonly ConditionItem[];
  readonly jobs: readonly AgentJobItem[];
  /** Null before the first heartbeat. */
  readonly outbox: OutboxItem | null;
  /** 0 when nothing is desired yet. */
  readonly desiredRevision: number;
  /** Null before the first heartbeat. */
  readonly observedRevision: number | null;
}

export interface SourceItem {
  /** Kind and fingerprint of its settings. */
  readonly id: string;
  readonly kind: string;
  /** What it reads: a topic, a path. Null of an agent that does not say. */
  readonly label: string | null;
  readonly connected: boolean;
  readonly records: number;
  readonly bytes: number;
  readonly redelivered: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly error: string | null;
}

/** `GET /api/v1/agents/{idOrName}` and the agent view. */
export interface AgentDetail extends AgentItem {
  readonly jobs: readonly AgentJobDetail[];
  readonly sources: readonly SourceItem[];
  readonly counters: Readonly<Record<string, number>>;
  readonly capabilities: readonly string[];
  readonly startedAt: number | null;
  /** Labels that the join token fixed: they cannot be changed. */
  readonly fixedLabels: readonly string[];
  readonly credentialsExpireAt: number | null;
  readonly revokedAt: number | null;
  /** The newest reading of the device itself. */
  readonly host: HostPoint | null;
}

/** One reading of a device; null where its platform offers none. */
export interface HostPoint {
  readonly at: number;
  readonly cpuPercent: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly diskUsedBytes: number | null;
  readonly diskTotalBytes: number | null;
  readonly temperatureCelsius: number | null;
  readonly load1: number | null;
  readonly agentRssBytes: number | null;
  readonly agentCpuPercent: number | null;
}

/**
 * How many agents want a job, run its current version, failed to (`failed`, `refused`,
 * `backoff`), or cannot be known because they are not connected.
 */
export interface JobAgents {
  readonly desired: number;
  readonly running: number;
  readonly failed: number;
  readonly unknown: number;
}

/** An item of `GET /api/v1/jobs` and of the fleet view. */
export interface JobItem {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
  readonly hash: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Null means every agent. */
  readonly selector: string | null;
  /** Stopped by a person on every agent, and to go on when they say so. */
  readonly paused: boolean;
  readonly generation: number;
  readonly updatedAt: number;
  readonly agents: JobAgents;
  /** The newest one; null before anything was rolled out. */
  readonly rollout: RolloutItem | null;
}

/** Where a job is: one line per agent that the selector chooses or that still reports it. */
export interface JobAgentItem {
  /** The agent's id. */
  readonly agent: string;
  readonly name: string;
  readonly connection: ConnectionState;
  readonly version: number | null;
  readonly phase: string;
  readonly desiredVersion: number | null;
  readonly attempted: AttemptedItem | null;
  /** Why the job is not placed there although the selector chooses the agent, or null. */
  readonly notPlaced: string | null;
  /** Of a batch job, as the agent last said; null before that and of a stream job. */
  readonly batch: BatchItem | null;
}

/** `GET /api/v1/jobs/{name}`. */
export interface JobDetail extends Omit<JobItem, 'agents'> {
  readonly counts: JobAgents;
  readonly document: unknown;
  /** The text as it was submitted. */
  readonly source: string;
  readonly agents: readonly JobAgentItem[];
  /** Datasets that the job's sinks write. */
  readonly datasets: readonly string[];
}

/** An item of `GET /api/v1/datasets/{dataset}/results`. */
export interface ResultItem {
  readonly agent: string;
  readonly epoch: string;
  readonly lane: string;
  readonly seq: number;
  readonly job: string;
  readonly version: number;
  readonly step: string;
  readonly key: unknown;
  readonly windowStart: number | null;
  readonly windowEnd: number | null;
  readonly time: number;
  readonly revision: number;
  /** Null is a retraction. */
  readonly value: unknown;
  /** When the control plane stored it. */
  readonly receivedAt: number;
}

export type LiveView =
  | { readonly view: 'fleet' }
  | { readonly view: 'agent'; readonly id: string }
  /** `after` is a cursor; without it only what comes from now on. */
  | { readonly view: 'dataset'; readonly dataset: string; readonly after?: string }
  /** Runs that change from now on: of one job, or of all. */
  | { readonly view: 'runs'; readonly job?: string }
  /** One run whole, now and whenever it or a task of it changes. */
  | { readonly view: 'run'; readonly run: string; readonly agent?: string }
  /** What needs a person, over the whole fleet. */
  | { readonly view: 'attention' };

export type LiveRequest = { readonly subscribe: LiveView } | { readonly unsubscribe: LiveView };

/** What needs a person, and the counts around it. Lists are cut to a bound, counts are not. */
export interface AttentionItem {
  /** Open ones, worst first. */
  readonly alerts: readonly AlertItem[];
  /** Open ones that the list leaves off. */
  readonly alertsMore: number;
  /** Promises that are not met, breached ones first. */
  readonly slas: readonly SlaItem[];
  readonly slaCounts: SlaCounts;
  /** Active ones, and the newest of each job that ended otherwise than well. */
  readonly rollouts: readonly RolloutItem[];
  /** Devices that wait for approval. */
  readonly pending: number;
}

/** The parts of an item that change with every heartbeat, sent without the rest of it. */
export interface SeenItem {
  readonly id: string;
  readonly lastSeenAt: number | null;
  readonly outbox: OutboxItem | null;
}

export type LiveMessage =
  | {
      readonly type: 'snapshot';
      readonly at: number;
      readonly agents: readonly AgentItem[];
      readonly jobs: readonly JobItem[];
    }
  | {
      readonly type: 'delta';
      readonly at: number;
      /** Whole items, new or changed. */
      readonly agents: readonly AgentItem[];
      /** Ids of agents that are gone. */
      readonly removed: readonly string[];
      /** Heartbeats of agents that did not change otherwise. */
      readonly seen: readonly SeenItem[];
      readonly jobs: readonly JobItem[];
      readonly removedJobs: readonly string[];
    }
  | { readonly type: 'agent'; readonly at: number; readonly agent: AgentDetail }
  | {
      readonly type: 'results';
      readonly at: number;
      readonly dataset: string;
      readonly items: readonly ResultItem[];
      readonly next: string;
    }
  /** New or changed runs. `more`: too many changed at once to be told; ask `GET /runs` again. */
  | {
      readonly type: 'runs';
      readonly at: number;
      /** As it was subscribed to; null for all jobs. */
      readonly job: string | null;
      readonly items: readonly RunItem[];
      readonly more: boolean;
    }
  | { readonly type: 'run'; readonly at: number; readonly run: RunDetail }
  | ({ readonly type: 'attention'; readonly at: number } & AttentionItem)
  | { readonly type: 'ping'; readonly at: number }
  /** A request that was not understood, or a view that does not exist. */
  | {
      readonly type: 'error';
      readonly at: number;
      readonly code: string;
      readonly detail: string;
    };
