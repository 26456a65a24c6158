/**
 * The network of one light agent: the agent's own connection to NATS, which can be cut and stays
 * cut until it is mended, and whose answers to result blocks can get lost or whose blocks can
 * arrive twice. What it lets through is the real protocol, byte for byte.
 */
import type { Connector, Link, LinkOptions } from '@runnel/agent/sync/link.ts';
import { connectLink } from '@runnel/agent/sync/nats-link.ts';
import type { Trouble } from '@runnel/agent/sync/sync-state.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { RequestKind } from '@runnel/shared/protocol/subjects.ts';
import type { Random } from '@runnel/shared/random.ts';

export interface NetworkCounters {
  connects: number;
  cuts: number;
  /** Blocks that were taken but whose answer got lost, so that the agent sends them again. */
  lostAnswers: number;
  /** Blocks that arrived twice. */
  sentTwice: number;
}

export interface NetworkOptions {
  readonly random: Random;
  readonly counters: NetworkCounters;
  /** Shared by the agents of a process. */
  readonly gate: Gate;
  /** Share of result blocks that the control plane gets twice. */
  readonly duplicates: number;
  /** A request of this kind goes out; the returned function hears that it was answered. */
  readonly asking: (kind: RequestKind) => () => void;
}

/**
 * How many agents of a process sign in at once. Devices have a processor each, these share one: a
 * thousand sign-ins begun together would all wait for it until nats-server gives them up, and the
 * work would be done for nothing.
 */
const SIGN_INS_MAX = 32;

export class Gate {
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  async pass<T>(run: () => Promise<T>): Promise<T> {
    if (this.#inside < SIGN_INS_MAX) this.#inside += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await run();
    } finally {
      // Whoever waits takes the place over.
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }
}

const DOWN: Trouble = { kind: 'network', message: 'the network is down' };

export class FlakyNetwork {
  readonly connect: Connector;
  readonly #options: NetworkOptions;
  #link: Link | null = null;
  #down = false;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.connect = (asked) => this.#connect(asked);
  }

  async cut(): Promise<void> {
    this.#down = true;
    this.#options.counters.cuts += 1;
    await this.#link?.close();
  }

  mend(): void {
    this.#down = false;
  }

  async #connect(options: LinkOptions): Promise<Link> {
    this.#throwIfDown();
    const link = await this.#options.gate.pass(() => connectLink(options));
    if (this.#down) await link.close();
    this.#throwIfDown();
    this.#options.counters.connects += 1;
    this.#link = link;
    return {
      server: link.server,
      closed: link.closed,
      request: (kind, body, timeoutMs) => this.#request(link, kind, body, timeoutMs),
      heartbeat: (body) => link.heartbeat(body),
      close: () => link.close(),
    };
  }

  #throwIfDown(): void {
    if (!this.#down) return;
    throw new RunnelError('link_connect', DOWN.message, {
      retry: 'backoff',
      fields: { trouble: DOWN },
    });
  }

  async #request(
    link: Link,
    kind: RequestKind,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<unknown> {
    const { random, duplicates, counters, asking } = this.#options;
    const answered = asking(kind);
    const fate = kind === 'results' ? random.next() : 1;
    if (fate < duplicates / 2) {
      counters.sentTwice += 1;
      const both = [link.request(kind, body, timeoutMs), link.request(kind, body, timeoutMs)];
      const [answer] = await Promise.all(both);
      return answer;
    }
    const answer = await link.request(kind, body, timeoutMs);
    if (fate < duplicates) {
      counters.lostAnswers += 1;
      throw new RunnelError('timeout', 'the answer got lost', { retry: 'backoff' });
    }
    answered();
    return answer;
  }
}
