/** The running sources, one per connector, shared by all jobs that use it. */
import { messageOf } from '@runnel/shared/errors.ts';
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { StoreTx } from '../checkpoints/checkpoint-store.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { RawRecord, Source } from '../sources/source.ts';
import type { CommitCycle } from './commit-cycle.ts';
import type { SourcesInCycle } from './participant.ts';
import type { Connector } from './runnable-job.ts';
import { SourceHost, type SourceHostOptions } from './source-host.ts';
import { sourceLabel } from './source-label.ts';

export interface SourceSetOptions extends Omit<SourceHostOptions, 'intake' | 'label'> {
  readonly conditions: Conditions;
  readonly create: (connector: Connector) => Source | Promise<Source>;
}

export class SourceSet implements SourcesInCycle {
  readonly #options: SourceSetOptions;
  readonly #hosts = new Map<string, SourceHost>();
  #cycle: CommitCycle | undefined;
  /** Sources that a job with `onLag: block` reads. */
  #blocking: ReadonlySet<string> = new Set();
  #isBlocked = false;

  constructor(options: SourceSetOptions) {
    this.#options = options;
  }

  /** The cycle takes the sources first, so it comes after them. */
  attach(cycle: CommitCycle): void {
    this.#cycle = cycle;
  }

  get isDirty(): boolean {
    for (const host of this.#hosts.values()) if (host.isDirty) return true;
    return false;
  }

  get isUrgent(): boolean {
    for (const host of this.#hosts.values()) if (host.isUrgent) return true;
    return false;
  }

  stage(tx: StoreTx): void {
    for (const host of this.#hosts.values()) host.stage(tx);
  }

  committed(): void {
    for (const host of this.#hosts.values()) host.committed();
  }

  reload(): void {
    for (const host of this.#hosts.values()) {
      host.discarded();
      this.#tell(host);
    }
  }

  resume(): void {
    for (const host of this.#hosts.values()) {
      host.resume();
      this.#tell(host);
    }
  }

  block(blocked: boolean): void {
    if (blocked === this.#isBlocked) return;
    this.#isBlocked = blocked;
    for (const host of this.#hosts.values()) host.blocked = blocked && this.#blocking.has(host.id);
  }

  /**
   * Runs the sources of `wanted` and no others. A source that cannot be made is a condition of its
   * own; the others run.
   */
  async run(wanted: ReadonlyMap<string, Connector>, blocking: ReadonlySet<string>): Promise<void> {
    this.#blocking = blocking;
    const gone = [...this.#hosts.values()].filter((host) => !wanted.has(host.id));
    for (const host of gone) this.#hosts.delete(host.id);
    await Promise.all(gone.map((host) => host.stop()));
    // No commit will speak of what they offered last: it stays with its origin.
    for (const host of gone) host.discarded();
    for (const { id } of gone) this.#options.conditions.clear(`sources/${id}`);
    for (const [id, connector] of wanted) {
      const host = this.#hosts.get(id);
      if (host === undefined) await this.#start(connector);
      else if (host.journaled === false) {
        // A job that has just begun has not heard of it.
        host.journaled = undefined;
        this.#tell(host);
      }
    }
  }

  reports(): SourceReport[] {
    return [...this.#hosts.values()].map((host) => host.report());
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.stop()));
  }

  async #start(connector: Connector): Promise<void> {
    const { conditions, create } = this.#options;
    const type = `sources/${connector.id}`;
    try {
      const host = new SourceHost(await create(connector), {
        ...this.#options,
        label: sourceLabel(connector.definition),
        intake: {
          offer: (from, record) => this.#offer(from, record),
          connected: (from) => this.#tell(from),
          requestCommit: () => this.#cycle?.wake(),
        },
      });
      this.#hosts.set(connector.id, host);
      // Whatever was before: a source that has just started is not connected yet.
      host.isConnected = false;
      this.#tell(host);
      await host.start();
      conditions.clear(type);
    } catch (error) {
      this.#hosts.delete(connector.id);
      conditions.set({
        type,
        axis: 'sources',
        severity: 'error',
        reason: 'CannotStart',
        message: messageOf(error).slice(0, 2000),
      });
    }
  }

  #offer(host: SourceHost, record: RawRecord): boolean {
    const more = this.#cycle?.offer(host, record) ?? false;
    if (more && !host.blocked) return true;
    host.paused = true;
    return false;
  }

  /** Journals whether records can come from it: a source that cannot give any is not idle. */
  #tell(host: SourceHost): void {
    const connected = host.isConnected === true && !host.isHeld;
    if (connected === host.journaled) return;
    host.journaled = connected;
    this.#cycle?.control({ kind: 'source', source: host.id, connected });
  }
}
