/**
 * How long people wait while the fleet works: two lists of the API that the page and the command
 * line ask for, and a change on the websocket. Asked one at a time, a few times a second: the
 * probe must not be the load.
 *
 * `live` is from the request that edits a label of an agent to the delta that carries it. A view
 * is sent once a second at most, so half a second of it is by design.
 */
import { WebSocket } from 'ws';
import { systemClock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { LiveMessage } from '@runnel/control-plane/http/live-messages.ts';
import { quantile } from '../../bench/measure.ts';
import type { ControlProcess } from './control-process.ts';

const PAUSE_MS = 200;
const EDIT_PAUSE_MS = 1000;
const DELTA_MS_MAX = 60_000;
const LOOK_MS = 5;
export const PROBES = ['agents', 'jobs', 'live'] as const;
type Probe = (typeof PROBES)[number];

export interface Latency {
  readonly p50: number | null;
  readonly p99: number | null;
  readonly count: number;
  readonly failed: number;
}
export type ApiLatency = Readonly<Record<Probe, Latency>>;

interface Samples {
  readonly ms: number[];
  failed: number;
}

export class ApiProbe {
  readonly #control: ControlProcess;
  readonly #signal: AbortSignal;
  readonly #ended = new AbortController();
  readonly #label = { agent: '', value: '', seen: false };
  #samples = noSamples();
  #socket: WebSocket | undefined;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(control: ControlProcess, signal: AbortSignal) {
    this.#control = control;
    this.#signal = AbortSignal.any([signal, this.#ended.signal]);
  }

  /** `agent` is the one whose label is edited. */
  start(agent: string): void {
    this.#label.agent = agent;
    this.#loops = Promise.all([
      this.#loop('agents', PAUSE_MS, () => this.#control.call('GET', '/agents?limit=100')),
      this.#loop('jobs', PAUSE_MS, () => this.#control.call('GET', '/jobs')),
      this.#loop('live', EDIT_PAUSE_MS, () => this.#edit()),
    ]);
  }

  begin(): void {
    this.#samples = noSamples();
  }

  /** Since `begin`, in milliseconds. */
  taken(): ApiLatency {
    const { agents, jobs, live } = this.#samples;
    return { agents: latencyOf(agents), jobs: latencyOf(jobs), live: latencyOf(live) };
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#socket?.terminate();
    await this.#loops;
  }

  async #loop(probe: Probe, pauseMs: number, ask: () => Promise<unknown>): Promise<void> {
    while (!this.#signal.aborted) {
      const began = systemClock.monotonicMs();
      try {
        await ask();
        this.#samples[probe].ms.push(systemClock.monotonicMs() - began);
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#samples[probe].failed += 1;
        process.stderr.write(`probe ${probe}: ${messageOf(error)}\n`);
      }
      await this.#pause(pauseMs);
    }
  }

  async #edit(): Promise<void> {
    await this.#connected();
    const { agent } = this.#label;
    this.#label.value = String(Number(this.#label.value) + 1);
    this.#label.seen = false;
    const { value } = this.#label;
    await this.#control.call('PATCH', `/agents/${agent}`, { labels: { probe: value } });
    await this.#until('the change on the websocket', () => this.#label.seen);
  }

  /** A reader that was closed connects again, as the page does. */
  async #connected(): Promise<void> {
    if (this.#socket?.readyState === WebSocket.OPEN) return;
    const url = `${this.#control.url.replace('http', 'ws')}/api/v1/live`;
    const headers = { authorization: `Bearer ${this.#control.token}` };
    const socket = new WebSocket(url, { headers });
    this.#socket = socket;
    let hasSnapshot = false;
    // What went wrong shows in its state; without a listener it would end the process.
    socket.on('error', () => socket.terminate());
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString('utf8')) as LiveMessage;
      if (message.type === 'snapshot') hasSnapshot = true;
      if (message.type === 'delta') this.#heard(message.agents);
    });
    await this.#until('the snapshot of the fleet', () => hasSnapshot);
  }

  #heard(agents: Extract<LiveMessage, { type: 'delta' }>['agents']): void {
    const { agent, value } = this.#label;
    if (agents.some(({ id, labels }) => id === agent && labels.probe === value)) {
      this.#label.seen = true;
    }
  }

  async #until(what: string, probe: () => boolean): Promise<void> {
    const deadline = systemClock.monotonicMs() + DELTA_MS_MAX;
    while (!probe()) {
      this.#signal.throwIfAborted();
      if (systemClock.monotonicMs() > deadline) throw new Error(`waited too long for ${what}`);
      if (this.#socket?.readyState === WebSocket.CLOSED) throw new Error('the websocket closed');
      await this.#pause(LOOK_MS);
    }
  }

  async #pause(ms: number): Promise<void> {
    await systemClock.sleep(ms, this.#signal).catch(() => undefined);
  }
}

function noSamples(): Record<Probe, Samples> {
  const none = (): Samples => ({ ms: [], failed: 0 });
  return { agents: none(), jobs: none(), live: none() };
}

function latencyOf({ ms, failed }: Samples): Latency {
  const at = (share: number): number | null => (ms.length === 0 ? null : quantile(ms, share));
  return { p50: at(0.5), p99: at(0.99), count: ms.length, failed };
}
