/**
 * Builds heartbeats and sends them: every interval as a heartbeat, and the same body at once as a
 * state report when a job's state changes (DESIGN.md §10).
 *
 * Guarantees: `seq` counts up from 1 within this process's epoch over both; beats of many agents
 * spread over the interval by a random phase; a change is reported within 50 ms, changes in
 * between travel together, and a report that got no answer is sent again with the next one due.
 * A heartbeat is never queued: a lost one is replaced by the next.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { AgentId, EpochMs } from '@runnel/shared/ids.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';
import type {
  Heartbeat,
  HostReport,
  JobReport,
  SourceReport,
} from '@runnel/shared/protocol/heartbeat.ts';
import type { SlaReport } from '@runnel/shared/protocol/sla.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Random } from '@runnel/shared/random.ts';
import { agentVersion, platform } from '../config/agent-version.ts';
import type { Link } from './link.ts';
import { backoff } from './sync-delays.ts';

/** What the running agent tells of itself; read at the moment of the heartbeat. */
export interface AgentState {
  readonly observedRevision: number;
  readonly observedHash: string;
  readonly capabilities: readonly string[];
  readonly conditions: readonly Condition[];
  readonly jobs: readonly JobReport[];
  readonly sources: readonly SourceReport[];
  /** Undefined while no job promises anything. */
  readonly slas?: readonly SlaReport[] | undefined;
  readonly outbox: Heartbeat['outbox'];
  readonly counters: Readonly<Record<string, number>>;
  readonly host: HostReport;
}

export interface HeartbeatOptions {
  readonly agent: AgentId;
  readonly epoch: string;
  readonly startedAt: EpochMs;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly intervalMs: number;
  /** Text of a policy report; absent when it is too large to tell. */
  readonly policy?: string | undefined;
  readonly read: () => Promise<AgentState>;
  /** Told of every byte sent: a metered link counts them. */
  readonly sent: (bytes: number) => void;
}

const COALESCE_MS = 50;
const REPORT_ANSWER_MS_MAX = 10_000;
const REPORT_TRIES_MAX = 5;

export class HeartbeatLoop {
  readonly #options: HeartbeatOptions;
  #intervalMs: number;
  #seq = 0;
  #running: { readonly abort: AbortController; readonly done: Promise<unknown> } | null = null;
  /** Raised by every change of a job's state; the reporter works until it has caught up. */
  #changes = 0;
  #changed: (() => void) | null = null;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#intervalMs = options.intervalMs;
  }

  /** The control plane sets the interval; takes effect after the next beat. */
  setIntervalMs(intervalMs: number): void {
    this.#intervalMs = intervalMs;
  }

  /** A job's state changed: reported at once while connected. */
  jobChanged(): void {
    this.#changes += 1;
    this.#changed?.();
  }

  start(link: Link): void {
    const abort = new AbortController();
    const done = Promise.all([this.#beat(link, abort.signal), this.#report(link, abort.signal)]);
    this.#running = { abort, done };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.abort.abort();
    this.#changed?.();
    await running.done;
  }

  async build(): Promise<Heartbeat> {
    const { agent, epoch, startedAt, clock, policy, read } = this.#options;
    const state = await read();
    this.#seq += 1;
    return {
      v: PROTOCOL_VERSION,
      agent,
      epoch,
      seq: this.#seq,
      sentAt: clock.now(),
      startedAt,
      intervalMs: this.#intervalMs,
      agentVersion,
      platform,
      capabilities: [...state.capabilities],
      ...(policy === undefined ? {} : { policy }),
      observedRevision: state.observedRevision,
      observedHash: state.observedHash,
      conditions: [...state.conditions],
      jobs: [...state.jobs],
      sources: [...state.sources],
      ...(state.slas !== undefined && { slas: [...state.slas] }),
      outbox: state.outbox,
      counters: state.counters,
      host: state.host,
    };
  }

  /** The first beat goes out at once: it is what turns the page to connected. */
  async #beat(link: Link, signal: AbortSignal): Promise<void> {
    let first = true;
    while (!signal.aborted) {
      try {
        const body = await this.#encode();
        if (signal.aborted) return;
        link.heartbeat(body);
        this.#options.sent(body.byteLength);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn({ error: messageOf(error) }, 'heartbeat was not sent');
      }
      // A random phase once: agents that came back together do not beat together.
      await this.#sleep(
        first ? this.#intervalMs * this.#options.random.next() : this.#intervalMs,
        signal,
      );
      first = false;
    }
  }

  async #report(link: Link, signal: AbortSignal): Promise<void> {
    let reported = this.#changes;
    let tries = 0;
    while (!signal.aborted) {
      if (this.#changes === reported) {
        await new Promise<void>((resolve) => (this.#changed = resolve));
        this.#changed = null;
        continue;
      }
      await this.#sleep(COALESCE_MS, signal);
      const changes = this.#changes;
      try {
        const body = await this.#encode();
        if (signal.aborted) return;
        this.#options.sent(body.byteLength);
        await link.request('state', body, REPORT_ANSWER_MS_MAX);
        reported = changes;
        tries = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn({ error: messageOf(error) }, 'state report was not answered');
        tries += 1;
        // The heartbeat carries the same state: giving up costs at most one interval.
        if (tries >= REPORT_TRIES_MAX) reported = changes;
        else await this.#sleep(backoff(tries).maxMs, signal);
      }
    }
  }

  async #encode(): Promise<Uint8Array> {
    return Buffer.from(JSON.stringify(await this.build()), 'utf8');
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(ms, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
