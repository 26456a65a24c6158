/**
 * Feeds the websockets: each view is computed at most once a second for all who watch it, however
 * many there are and however fast things change, and only what changed is sent. After a quiet
 * second a change goes out at once (an alert must not wait for a clock); in a quiet fleet nothing
 * is computed at all.
 *
 * Bounds: clients (more are refused), views per client (more are answered with an error), bytes
 * that wait for a slow reader (it is closed with 1013 and counted; it connects again and gets a
 * fresh snapshot, which is cheaper than what it missed).
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { FleetDelta } from './fleet-delta.ts';
import type { RunChange } from '../intake/apply-runs.ts';
import type { FleetView } from './fleet-view.ts';
import type { HttpMetrics } from './http-metrics.ts';
import { LiveAttention } from './live-attention.ts';
import type { AttentionItem, LiveMessage, LiveView, ResultItem } from './live-messages.ts';
import { parseLiveRequest } from './live-request.ts';
import { LiveRuns, type LiveRunsParts } from './live-runs.ts';
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
  readonly runs: Pick<LiveRunsParts<object>, 'read' | 'detail'>;
  readonly attention: () => AttentionItem | Promise<AttentionItem>;
  readonly failed: (error: unknown) => void;
}

const CLIENTS_MAX = 200;
const VIEWS_PER_CLIENT_MAX = 20;
const REQUESTS_WAITING_MAX = 100;
const BUFFERED_BYTES_MAX = 32 * 1024 * 1024;
/** Between two messages of a view. */
const INTERVAL_MS = 1000;
/** What belongs together (a commit, a heartbeat of many jobs) goes into one message. */
const GATHER_MS = 20;
const PING_MS = 5000;

interface Client {
  readonly socket: LiveSocket;
  fleet: boolean;
  readonly agents: Set<string>;
  /** Dataset → cursor. */
  readonly datasets: Map<string, number>;
  /** Requests are answered one after another, so that bounds hold however fast they come. */
  lastRequest: Promise<void>;
  waitingRequests: number;
}

export class LiveHub {
  readonly #parts: LiveHubParts;
  readonly #clients = new Set<Client>();
  readonly #delta: FleetDelta;
  readonly #runs: LiveRuns<Client>;
  readonly #attention: LiveAttention<Client>;
  readonly #changedAgents = new Set<string>();
  #cancelUpdate: (() => void) | undefined;
  #cancelPing: (() => void) | undefined;
  #updatedAtMs = Number.NEGATIVE_INFINITY;
  #updating = false;
  #closed = false;

  constructor(parts: LiveHubParts) {
    this.#parts = parts;
    this.#delta = new FleetDelta(parts.fleet);
    this.#runs = new LiveRuns({
      ...parts.runs,
      send: (client, message) => this.#send(client, message),
      now: () => this.#now(),
    });
    this.#attention = new LiveAttention({
      read: parts.attention,
      send: (client, text) => this.#sendText(client, text),
      now: () => this.#now(),
    });
    parts.metrics.liveClients = () => this.#clients.size;
  }

  /** A heartbeat, a connection change or an edit of this agent. */
  agentChanged(id: string): void {
    if (this.#clients.size === 0) return;
    this.#delta.touch(id);
    this.#changedAgents.add(id);
    this.#wake();
  }

  /** A job was applied or deleted. */
  jobsChanged(): void {
    if (this.#clients.size === 0) return;
    this.#delta.touchJobs();
    this.#wake();
  }

  /** Rows came into the store. */
  resultsChanged(): void {
    this.#wake();
  }

  /** Reports of runs came into the store. */
  runsChanged(changes: readonly RunChange[]): void {
    this.#runs.changed(changes);
    if (this.#runs.touched) this.#wake();
  }

  /** An alert, a verdict or a rollout changed, or a device waits for approval or no longer. */
  attentionChanged(): void {
    this.#attention.changed();
    if (this.#attention.touched) this.#wake();
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
    const client = newClient(socket);
    if (this.#clients.size === 0) this.#begin();
    this.#clients.add(client);
    this.#sendSnapshot(client);
    return {
      message: (text) => this.#request(client, text),
      closed: () => this.#forget(client),
    };
  }

  /** Closes every socket; the page connects again to whatever comes up. */
  close(): void {
    this.#closed = true;
    this.#cancelUpdate?.();
    this.#cancelPing?.();
    for (const { socket } of this.#clients) socket.close(1001, 'the server ends');
    this.#clients.clear();
  }

  #begin(): void {
    this.#delta.begin();
    this.#changedAgents.clear();
    this.#armPing();
  }

  #wake(): void {
    if (this.#cancelUpdate !== undefined || this.#updating) return;
    if (this.#clients.size === 0 || this.#closed) return;
    const { clock } = this.#parts;
    const waitMs = Math.max(GATHER_MS, this.#updatedAtMs + INTERVAL_MS - clock.monotonicMs());
    this.#cancelUpdate = clock.after(waitMs, () => {
      this.#cancelUpdate = undefined;
      this.#update().catch(this.#parts.failed);
    });
  }

  async #update(): Promise<void> {
    this.#updating = true;
    this.#updatedAtMs = this.#parts.clock.monotonicMs();
    let behind = true;
    try {
      this.#sendDelta();
      this.#sendAgents();
      await this.#runs.send();
      await this.#attention.send();
      behind = await this.#sendResults();
    } finally {
      this.#updating = false;
      if (behind || this.#touched) this.#wake();
    }
  }

  /** Whether something changed while an update was made. */
  get #touched(): boolean {
    const views = [this.#delta, this.#runs, this.#attention];
    return this.#changedAgents.size > 0 || views.some(({ touched }) => touched);
  }

  #armPing(): void {
    this.#cancelPing?.();
    this.#cancelPing = this.#parts.clock.after(PING_MS, () => {
      this.#ping().catch(this.#parts.failed);
    });
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

  /**
   * Clients at the same cursor of a dataset share one read. True when there is more to send: rows
   * came meanwhile, or more than one page holds.
   */
  async #sendResults(): Promise<boolean> {
    if ([...this.#clients].every((client) => client.datasets.size === 0)) return false;
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
    const now = await this.#parts.newestCursor();
    return [...this.#clients].some((client) =>
      [...client.datasets.values()].some((cursor) => cursor < now),
    );
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
  async #ping(): Promise<void> {
    for (const client of this.#clients) {
      if (await client.socket.stillAllowed()) {
        this.#send(client, { type: 'ping', at: this.#now() });
      } else {
        this.#drop(client, 'signed_out', 4401, 'not signed in any more');
      }
    }
    if (this.#clients.size > 0 && !this.#closed) this.#armPing();
  }

  async #request(client: Client, text: unknown): Promise<void> {
    if (client.waitingRequests >= REQUESTS_WAITING_MAX) {
      this.#drop(client, 'requests_max', 1008, 'too many requests at once');
      return;
    }
    client.waitingRequests += 1;
    client.lastRequest = client.lastRequest.then(() => this.#answer(client, text));
    await client.lastRequest;
    client.waitingRequests -= 1;
  }

  /** Never rejects for what the client sent. */
  async #answer(client: Client, text: unknown): Promise<void> {
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
    switch (view.view) {
      case 'fleet':
        client.fleet = true;
        this.#sendSnapshot(client);
        return;
      case 'agent': {
        const agent = this.#parts.fleet.detail(view.id);
        if (agent === undefined) throw notFound('agent', view.id);
        if (!client.agents.has(view.id)) this.#refuseTooMany(client);
        client.agents.add(view.id);
        this.#send(client, { type: 'agent', at: this.#now(), agent });
        return;
      }
      case 'dataset': {
        if (!client.datasets.has(view.dataset)) this.#refuseTooMany(client);
        const now = await this.#parts.newestCursor();
        const after = view.after === undefined ? now : Number(view.after);
        const page = await this.#parts.results(view.dataset, after);
        client.datasets.set(view.dataset, page.next);
        this.#sendPage(client, view.dataset, page);
        return;
      }
      case 'runs':
      case 'run':
        if (!this.#runs.has(client, view)) this.#refuseTooMany(client);
        await this.#runs.watch(client, view);
        // It may have gone while it was answered.
        if (!this.#clients.has(client)) this.#runs.forget(client);
        return;
      case 'attention':
        if (!this.#attention.has(client)) this.#refuseTooMany(client);
        await this.#attention.watch(client);
        if (!this.#clients.has(client)) this.#attention.unwatch(client);
    }
  }

  #unsubscribe(client: Client, view: LiveView): void {
    if (view.view === 'fleet') client.fleet = false;
    else if (view.view === 'agent') client.agents.delete(view.id);
    else if (view.view === 'dataset') client.datasets.delete(view.dataset);
    else if (view.view === 'attention') this.#attention.unwatch(client);
    else this.#runs.unwatch(client, view);
  }

  /** Errors: `views_too_many`. */
  #refuseTooMany(client: Client): void {
    const others = this.#runs.viewsOf(client) + (this.#attention.has(client) ? 1 : 0);
    const views = client.agents.size + client.datasets.size + others;
    if (views < VIEWS_PER_CLIENT_MAX) return;
    const most = VIEWS_PER_CLIENT_MAX;
    throw new RunnelError('views_too_many', `more than ${most} views on one connection`);
  }

  #forget(client: Client): void {
    this.#clients.delete(client);
    this.#runs.forget(client);
    this.#attention.unwatch(client);
  }

  #send(client: Client, message: LiveMessage): void {
    this.#sendText(client, JSON.stringify(message));
  }

  #sendText(client: Client, text: string): void {
    if (client.socket.bufferedBytes() > BUFFERED_BYTES_MAX) {
      this.#drop(client, 'slow_reader', 1013, 'reads too slowly');
      return;
    }
    client.socket.send(text);
  }

  #drop(client: Client, reason: string, code: number, text: string): void {
    this.#parts.metrics.liveClosed.add([reason]);
    this.#forget(client);
    client.socket.close(code, text);
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}

function newClient(socket: LiveSocket): Client {
  return {
    socket,
    fleet: true,
    agents: new Set(),
    datasets: new Map(),
    lastRequest: Promise.resolve(),
    waitingRequests: 0,
  };
}
