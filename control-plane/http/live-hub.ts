/**
 * Feeds the websockets: each view is computed once a second for all who watch it, however many
 * there are and however fast things change, and only what changed is sent.
 *
 * Bounds: clients (more are refused), views per client (more are answered with an error), bytes
 * that wait for a slow reader (it is closed with 1013 and counted; it connects again and gets a
 * fresh snapshot, which is cheaper than what it missed).
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { FleetDelta } from './fleet-delta.ts';
import type { FleetView } from './fleet-view.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { LiveMessage, LiveView, ResultItem } from './live-messages.ts';
import { parseLiveRequest } from './live-request.ts';
import { notFound } from './problem.ts';

/** What the hub needs of a websocket. */
export interface LiveSocket {
  send(text: string): void;
  close(code: number, reason: string): void;
  /** Bytes that wait in this process for the reader. */
  bufferedBytes(): number;
  /** Whether the token or session that opened it still stands. */
  stillAllowed(): Promise<boolean>;
}

export interface LiveHubParts {
  readonly clock: Clock;
  readonly fleet: FleetView;
  readonly metrics: HttpMetrics;
  /** The newest cursor of all results. */
  readonly newestCursor: () => Promise<number>;
  readonly results: (
    dataset: string,
    after: number,
  ) => Promise<{ readonly items: readonly ResultItem[]; readonly next: number }>;
  readonly failed: (error: unknown) => void;
}

const CLIENTS_MAX = 200;
const VIEWS_PER_CLIENT_MAX = 20;
const BUFFERED_BYTES_MAX = 32 * 1024 * 1024;
const TICK_MS = 1000;
const PING_MS = 5000;

interface Client {
  readonly socket: LiveSocket;
  fleet: boolean;
  readonly agents: Set<string>;
  /** Dataset → cursor. */
  readonly datasets: Map<string, number>;
}

export class LiveHub {
  readonly #parts: LiveHubParts;
  readonly #clients = new Set<Client>();
  readonly #delta: FleetDelta;
  readonly #changedAgents = new Set<string>();
  #cancelTick: (() => void) | undefined;
  #pingAt = 0;
  #closed = false;

  constructor(parts: LiveHubParts) {
    this.#parts = parts;
    this.#delta = new FleetDelta(parts.fleet);
    parts.metrics.liveClients = () => this.#clients.size;
  }

  /** A heartbeat, a connection change or an edit of this agent. */
  agentChanged(id: string): void {
    if (this.#clients.size === 0) return;
    this.#delta.touch(id);
    this.#changedAgents.add(id);
  }

  /** A job was applied or deleted. */
  jobsChanged(): void {
    if (this.#clients.size > 0) this.#delta.touchJobs();
  }

  /** Returns what the socket's events call; undefined when there are too many. */
  connect(
    socket: LiveSocket,
  ): { message: (text: unknown) => Promise<void>; closed: () => void } | undefined {
    if (this.#closed || this.#clients.size >= CLIENTS_MAX) {
      this.#parts.metrics.liveClosed.add(['clients_max']);
      socket.close(1013, 'too many clients');
      return undefined;
    }
    const client: Client = { socket, fleet: true, agents: new Set(), datasets: new Map() };
    if (this.#clients.size === 0) this.#begin();
    this.#clients.add(client);
    this.#sendSnapshot(client);
    return {
      message: (text) => this.#request(client, text),
      closed: () => this.#clients.delete(client),
    };
  }

  /** Closes every socket; the page connects again to whatever comes up. */
  close(): void {
    this.#closed = true;
    this.#cancelTick?.();
    for (const { socket } of this.#clients) socket.close(1001, 'the server ends');
    this.#clients.clear();
  }

  #begin(): void {
    this.#delta.begin();
    this.#changedAgents.clear();
    this.#pingAt = this.#parts.clock.monotonicMs() + PING_MS;
    this.#arm();
  }

  #arm(): void {
    this.#cancelTick?.();
    this.#cancelTick = this.#parts.clock.after(TICK_MS, () => {
      this.#tick().catch(this.#parts.failed);
    });
  }

  async #tick(): Promise<void> {
    try {
      this.#sendDelta();
      this.#sendAgents();
      await this.#sendResults();
      await this.#sendPing();
    } finally {
      if (this.#clients.size > 0 && !this.#closed) this.#arm();
    }
  }

  #sendSnapshot(client: Client): void {
    const { fleet } = this.#parts;
    const agents = fleet.agents().map((record) => fleet.itemOf(record));
    this.#send(client, { type: 'snapshot', at: this.#now(), agents, jobs: fleet.jobItems() });
  }

  #sendDelta(): void {
    const delta = this.#delta.take();
    if (delta === undefined) return;
    const text = JSON.stringify({ type: 'delta', at: this.#now(), ...delta });
    for (const client of this.#clients) if (client.fleet) this.#sendText(client, text);
  }

  #sendAgents(): void {
    for (const id of this.#changedAgents) {
      const watching = [...this.#clients].filter((client) => client.agents.has(id));
      const agent = watching.length === 0 ? undefined : this.#parts.fleet.detail(id);
      if (agent === undefined) continue;
      const text = JSON.stringify({ type: 'agent', at: this.#now(), agent });
      for (const client of watching) this.#sendText(client, text);
    }
    this.#changedAgents.clear();
  }

  /** Clients at the same cursor of a dataset share one read. */
  async #sendResults(): Promise<void> {
    const newest = await this.#parts.newestCursor();
    const groups = new Map<string, { dataset: string; after: number; clients: Client[] }>();
    for (const client of this.#clients) {
      for (const [dataset, after] of client.datasets) {
        if (after >= newest) continue;
        const key = `${after} ${dataset}`;
        const group = groups.get(key) ?? { dataset, after, clients: [] };
        groups.set(key, group);
        group.clients.push(client);
      }
    }
    for (const { dataset, after, clients } of groups.values()) {
      const page = await this.#parts.results(dataset, after);
      for (const client of clients) {
        if (client.datasets.get(dataset) !== after) continue;
        client.datasets.set(dataset, page.next);
        if (page.items.length > 0) this.#sendPage(client, dataset, page);
      }
    }
  }

  #sendPage(
    client: Client,
    dataset: string,
    page: { readonly items: readonly ResultItem[]; readonly next: number },
  ): void {
    const { items, next } = page;
    this.#send(client, { type: 'results', at: this.#now(), dataset, items, next: String(next) });
  }

  /** A revoked token or a signed-out browser loses its socket with the next ping. */
  async #sendPing(): Promise<void> {
    const now = this.#parts.clock.monotonicMs();
    if (now < this.#pingAt) return;
    this.#pingAt = now + PING_MS;
    for (const client of this.#clients) {
      if (await client.socket.stillAllowed()) {
        this.#send(client, { type: 'ping', at: this.#now() });
      } else {
        this.#parts.metrics.liveClosed.add(['signed_out']);
        this.#clients.delete(client);
        client.socket.close(4401, 'not signed in any more');
      }
    }
  }

  async #request(client: Client, text: unknown): Promise<void> {
    try {
      const { on, view } = parseLiveRequest(text);
      if (on) await this.#subscribe(client, view);
      else this.#unsubscribe(client, view);
    } catch (error) {
      if (!(error instanceof RunnelError)) this.#parts.failed(error);
      const code = error instanceof RunnelError ? error.code : 'internal';
      const detail = error instanceof RunnelError ? messageOf(error) : 'an internal error';
      this.#send(client, { type: 'error', at: this.#now(), code, detail });
    }
  }

  async #subscribe(client: Client, view: LiveView): Promise<void> {
    if (client.agents.size + client.datasets.size >= VIEWS_PER_CLIENT_MAX) {
      throw new RunnelError(
        'views_too_many',
        `more than ${VIEWS_PER_CLIENT_MAX} views on one connection`,
      );
    }
    switch (view.view) {
      case 'fleet':
        client.fleet = true;
        this.#sendSnapshot(client);
        return;
      case 'agent': {
        const agent = this.#parts.fleet.detail(view.id);
        if (agent === undefined) throw notFound('agent', view.id);
        client.agents.add(view.id);
        this.#send(client, { type: 'agent', at: this.#now(), agent });
        return;
      }
      case 'dataset': {
        const now = await this.#parts.newestCursor();
        const after = view.after === undefined ? now : Number(view.after);
        const page = await this.#parts.results(view.dataset, after);
        client.datasets.set(view.dataset, page.next);
        this.#sendPage(client, view.dataset, page);
        return;
      }
    }
  }

  #unsubscribe(client: Client, view: LiveView): void {
    if (view.view === 'fleet') client.fleet = false;
    else if (view.view === 'agent') client.agents.delete(view.id);
    else client.datasets.delete(view.dataset);
  }

  #send(client: Client, message: LiveMessage): void {
    this.#sendText(client, JSON.stringify(message));
  }

  #sendText(client: Client, text: string): void {
    if (client.socket.bufferedBytes() > BUFFERED_BYTES_MAX) {
      this.#parts.metrics.liveClosed.add(['slow_reader']);
      this.#clients.delete(client);
      client.socket.close(1013, 'reads too slowly');
      return;
    }
    client.socket.send(text);
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}
