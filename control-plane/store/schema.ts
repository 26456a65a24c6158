/**
 * The store's tables, for SQLite (libsql) and PostgreSQL. Portable on purpose: text, integers,
 * JSON as text; times are epoch milliseconds; booleans are 0 or 1.
 *
 * Invariants held here: `results (agent, epoch, lane, seq)` is unique and `marks` moves only by an
 * update conditional on the value read, in the transaction that inserts the rows (I2);
 * `job_versions` are never updated (immutable, by content hash); `runs` and `run_tasks` change only
 * in the transaction that moves the mark of the lane that reported them, so the newest report wins.
 */
import type { Generated } from 'kysely';

export interface AgentsTable {
  id: string;
  name: string;
  public_key: string;
  labels: string;
  /** `approved`, `pending` (waits for a person), `revoked`. */
  status: string;
  /** Labels that the join token fixed: keys as a JSON list. */
  fixed_labels: string;
  platform: string;
  agent_version: string;
  enrolled_at: number;
  credentials_expire_at: number | null;
  /** Written in batches, at most every 30 s. */
  last_seen_at: number | null;
  /** The last heartbeat, written with last_seen_at, so that a restart shows what was known. */
  last_heartbeat: string | null;
  revoked_at: number | null;
}

export interface JoinTokensTable {
  id: string;
  /** SHA-256 of the secret, hex. */
  secret_hash: string;
  labels: string;
  uses_max: number | null;
  uses: number;
  expires_at: number | null;
  created_at: number;
  created_by: string;
  revoked_at: number | null;
}

/** Bearer tokens of people and programs. */
export interface ApiTokensTable {
  id: string;
  secret_hash: string;
  /** `viewer`, `operator`, `admin`. */
  role: string;
  name: string;
  expires_at: number | null;
  created_at: number;
  created_by: string;
  revoked_at: number | null;
}

/** One-time sign-in links and browser sessions; both hashed. */
export interface SessionsTable {
  id: string;
  /** `link` or `session`. */
  kind: string;
  secret_hash: string;
  role: string;
  token_id: string | null;
  expires_at: number;
  used_at: number | null;
  created_at: number;
}

export interface JobsTable {
  name: string;
  /** `StreamJob`, `BatchJob`. */
  kind: string;
  /** The version that is to run. */
  version: number;
  generation: number;
  created_at: number;
  updated_at: number;
  /** Set when deleted; versions stay. */
  deleted_at: number | null;
  /** 1 while a person has stopped it everywhere, to go on later. */
  paused: Generated<number>;
}

export interface JobVersionsTable {
  job: string;
  version: number;
  /** SHA-256 of the canonical JSON, hex; unique per job. */
  hash: string;
  /** Canonical JSON of the document. */
  document: string;
  /** The text as it was submitted. */
  source: string;
  created_at: number;
  created_by: string;
}

/**
 * What an agent is to apply. The payload that is signed for it is made of this row and the text of
 * its content, byte for byte the same whenever it is asked for (rollouts/desired-payload.ts).
 */
export interface DesiredTable {
  agent: string;
  revision: number;
  /** SHA-256 hex of the content: what changes are judged by. */
  content_hash: string;
  issued_at: number;
}

/** Contents of desired states, once each however many agents share one. Never updated. */
export interface DesiredContentsTable {
  hash: string;
  /** The members of the document that do not name the agent, as JSON text without braces. */
  content: string;
}

/**
 * Values that people set for a job's parameters; `(job, scope, name)` is unique. The scope is
 * `fleet`, `label:<selector>`, `site:<name>` or `agent:<id>` (definitions/parameter-layers.ts).
 */
export interface JobParametersTable {
  job: string;
  scope: string;
  name: string;
  /** JSON, as a person wrote it. */
  value: string;
  set_at: number;
  set_by: string;
}

export interface MarksTable {
  agent: string;
  epoch: string;
  lane: string;
  mark: number;
  lost: number;
  updated_at: number;
}

export interface ResultsTable {
  /** Insertion order: what cursors are made of. */
  id: Generated<number>;
  agent: string;
  epoch: string;
  lane: string;
  seq: number;
  kind: string;
  job: string;
  version: number;
  step: string;
  dataset: string;
  /** Canonical JSON. */
  key: string;
  window_start: number | null;
  window_end: number | null;
  time: number;
  revision: number;
  value: string;
  made_at: number;
  received_at: number;
}

/** Runs of batch jobs as the devices reported them last; `(run, agent)` is unique. */
export interface RunsTable {
  /** Order in which runs were first heard of: what cursors are made of. */
  id: Generated<number>;
  agent: string;
  /** The device's id of it: random. */
  run: string;
  job: string;
  version: number;
  /** `<job>/<partition>`. */
  key: string;
  partition: string;
  partition_start: number;
  partition_end: number;
  trigger: string;
  state: string;
  at: number;
  queued_at: number;
  started_at: number | null;
  ended_at: number | null;
  tries: number;
  /** JSON, as the four after it. */
  parameters: string;
  origins: string;
  tasks: string;
  error: string;
  affected: string;
  /** 1: it was told to end and has not ended yet. */
  cancelling: Generated<number>;
  /** When the newest report of it was stored. */
  received_at: number;
}

/** Instances of tasks; `(run, agent, task, item)` is unique. */
export interface RunTasksTable {
  id: Generated<number>;
  agent: string;
  run: string;
  task: string;
  /** Position in the list of `forEach`; -1 for the task itself. */
  item: number;
  state: string;
  attempt: number;
  started_at: number | null;
  ended_at: number | null;
  next_attempt_at: number | null;
  /** JSON, as the next. */
  output: string;
  error: string;
  received_at: number;
}

/**
 * How long a promise had which verdict: `[from_at, to_at)`, null while it lasts. Two lines of each
 * promise: `own` is what the control plane made of all that it could see, without a gap; `device`
 * is what the device told of itself, and may reach into a time in which it could not be heard.
 */
export interface SlaIntervalsTable {
  id: Generated<number>;
  line: string;
  job: string;
  /** Empty for a promise of the whole fleet. */
  agent: string;
  sla: string;
  kind: string;
  verdict: string;
  cause: string;
  /** `device` or `control-plane`: by whose facts. */
  judge: string;
  from_at: number;
  to_at: number | null;
}

/**
 * Rollouts of jobs. What each device is told to run is in the state of the newest one, so that no
 * second table can disagree with it: one row changes, in one transaction.
 */
export interface RolloutsTable {
  /** Order in which they began. */
  id: Generated<number>;
  rollout: string;
  job: string;
  version: number;
  phase: string;
  /** 1: the newest of a job that is to run. */
  current: number;
  started_at: number;
  ended_at: number | null;
  /** JSON with a version of its own (rollouts/rollout-record.ts). */
  state: string;
}

/** What happened to agents, jobs and connections: transitions, not heartbeats. */
export interface EventsTable {
  id: Generated<number>;
  at: number;
  agent: string | null;
  job: string | null;
  /** `connection`, `condition`, `job`, `enrolment`, `desired`, … */
  type: string;
  severity: string;
  message: string;
  data: string;
}

/** One thing that is or was wrong. Of a fingerprint at most one is open: an index sees to it. */
export interface AlertsTable {
  /** Order in which they began: what cursors are made of. */
  id: Generated<number>;
  /** Random; what people and receivers know it by. */
  alert: string;
  fingerprint: string;
  source: string;
  severity: string;
  /** `firing`, `acknowledged`, `silenced`, `resolved`. */
  state: string;
  title: string;
  message: string;
  /** JSON. */
  labels: string;
  agent: string | null;
  job: string | null;
  link: string;
  started_at: number;
  last_at: number;
  /** Null while it is open. */
  ended_at: number | null;
  count: number;
  acknowledged_by: string | null;
  silenced_by: string | null;
}

export interface SilencesTable {
  id: string;
  selector: string;
  from_at: number;
  until_at: number;
  comment: string;
  by: string;
}

export interface ReceiversTable {
  name: string;
  kind: string;
  selector: string;
  severity: string;
  /** 0 or 1. */
  send_resolved: number;
  /** JSON without secrets, as the API shows it. */
  settings: string;
  /** JSON: setting → its text or where to read it. Never leaves the process but to the receiver. */
  secrets: string;
  last_sent_at: number | null;
  last_error: string | null;
}

/** What a receiver was told of a group, and what is under way (alerts/notify-state.ts). */
export interface AlertGroupsTable {
  receiver: string;
  key: string;
  /** JSON with a version. */
  state: string;
}

export interface NotificationsTable {
  id: Generated<number>;
  /** Random; receivers see it, and it is the same in every attempt. */
  notification: string;
  receiver: string;
  at: number;
  /** Ids as a JSON list. */
  alerts: string;
  /** `sent`, `retrying`, `failed`. */
  outcome: string;
  attempts: number;
  error: string | null;
}

export interface AuditTable {
  id: Generated<number>;
  at: number;
  actor: string;
  action: string;
  subject: string;
  data: string;
}

export interface SettingsTable {
  name: string;
  value: string;
}

export interface Schema {
  agents: AgentsTable;
  join_tokens: JoinTokensTable;
  api_tokens: ApiTokensTable;
  sessions: SessionsTable;
  jobs: JobsTable;
  job_versions: JobVersionsTable;
  desired: DesiredTable;
  desired_contents: DesiredContentsTable;
  job_parameters: JobParametersTable;
  marks: MarksTable;
  results: ResultsTable;
  runs: RunsTable;
  run_tasks: RunTasksTable;
  sla_intervals: SlaIntervalsTable;
  rollouts: RolloutsTable;
  events: EventsTable;
  alerts: AlertsTable;
  silences: SilencesTable;
  receivers: ReceiversTable;
  alert_groups: AlertGroupsTable;
  notifications: NotificationsTable;
  audit: AuditTable;
  settings: SettingsTable;
}
