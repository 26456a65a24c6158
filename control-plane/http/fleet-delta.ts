/**
 * What changed in the fleet view since the last look. An agent is sent whole only when something
 * other than its last-seen time and outbox fill changed; heartbeats of a healthy fleet would
 * otherwise send every device again every ten seconds.
 */
import type { FleetView } from './fleet-view.ts';
import type { AgentItem, JobItem, SeenItem } from './live-messages.ts';

export interface Delta {
  readonly agents: readonly AgentItem[];
  readonly removed: readonly string[];
  readonly seen: readonly SeenItem[];
  readonly jobs: readonly JobItem[];
  readonly removedJobs: readonly string[];
}

export class FleetDelta {
  readonly #fleet: FleetView;
  readonly #touched = new Set<string>();
  /** What was sent last, as text without the parts that always change. */
  readonly #agents = new Map<string, string>();
  readonly #jobs = new Map<string, string>();
  #jobsDirty = false;

  constructor(fleet: FleetView) {
    this.#fleet = fleet;
  }

  /** The first watcher came and got a snapshot: what is there now is known. */
  begin(): void {
    this.#touched.clear();
    this.#agents.clear();
    this.#jobs.clear();
    for (const record of this.#fleet.agents()) {
      this.#agents.set(record.id, signature(this.#fleet.itemOf(record)));
    }
    for (const job of this.#fleet.jobItems()) this.#jobs.set(job.name, JSON.stringify(job));
    this.#jobsDirty = false;
  }

  /** Whether there may be something to send. */
  get touched(): boolean {
    return this.#touched.size > 0 || this.#jobsDirty;
  }

  touch(id: string): void {
    this.#touched.add(id);
    this.#jobsDirty = true;
  }

  /** Undefined when nothing changed. */
  take(): Delta | undefined {
    const agents: AgentItem[] = [];
    const seen: SeenItem[] = [];
    const removed: string[] = [];
    for (const id of this.#touched) {
      const item = this.#fleet.item(id);
      if (item === undefined) {
        if (this.#agents.delete(id)) removed.push(id);
        continue;
      }
      const now = signature(item);
      if (this.#agents.get(id) === now) {
        seen.push({ id, lastSeenAt: item.lastSeenAt, outbox: item.outbox });
      } else {
        this.#agents.set(id, now);
        agents.push(item);
      }
    }
    this.#touched.clear();
    const { jobs, removedJobs } = this.#takeJobs();
    const parts = [agents, removed, seen, jobs, removedJobs];
    if (parts.every((part) => part.length === 0)) return undefined;
    return { agents, removed, seen, jobs, removedJobs };
  }

  /** After jobs were applied or deleted, even when no agent is concerned. */
  touchJobs(): void {
    this.#jobsDirty = true;
  }

  #takeJobs(): { jobs: JobItem[]; removedJobs: string[] } {
    if (!this.#jobsDirty) return { jobs: [], removedJobs: [] };
    this.#jobsDirty = false;
    const items = this.#fleet.jobItems();
    const names = new Set(items.map((job) => job.name));
    const removedJobs = [...this.#jobs.keys()].filter((name) => !names.has(name));
    for (const name of removedJobs) this.#jobs.delete(name);
    const jobs = items.filter((job) => {
      const text = JSON.stringify(job);
      if (this.#jobs.get(job.name) === text) return false;
      this.#jobs.set(job.name, text);
      return true;
    });
    return { jobs, removedJobs };
  }
}

/** The order of keys is the order in which agent-view.ts builds the item: always the same. */
function signature(item: AgentItem): string {
  const outbox = item.outbox === null ? null : item.outbox.lost;
  return JSON.stringify({ ...item, lastSeenAt: null, outbox });
}
