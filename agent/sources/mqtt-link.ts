/**
 * Keeps a connection to one broker: performs what mqtt-lifecycle.ts decides.
 *
 * MQTT 5 is tried first and 3.1.1 when the broker refuses it, or hangs up on it without an answer;
 * a version fixed by the document is never changed. Waits grow exponentially and are jittered, so
 * that a fleet does not return to a broker in step; a refusal that only a person can mend waits
 * longest, and says which broker and why.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { type Random, jittered } from '@runnel/shared/random.ts';
import { type ConnectionEnd, MqttConnection, type MqttVersion } from './mqtt-connection.ts';
import { type MqttEndpoint, type ResolveSecret, prepareLogin } from './mqtt-endpoint.ts';
import type { FrameHandler } from './mqtt-frames.ts';
import {
  type Backoff,
  type MqttEffect,
  type MqttEvent,
  type MqttState,
  defaultBackoff,
  initialState,
  transition,
} from './mqtt-lifecycle.ts';

export interface MqttLinkSettings {
  readonly endpoint: MqttEndpoint;
  readonly topic: string;
  readonly qos: 0 | 1;
  readonly clientId: string;
  /** Fixed by the document, or undefined: 5, and 3.1.1 where the broker refuses 5. */
  readonly protocolVersion?: MqttVersion | undefined;
  readonly receiveMaximum: number;
  readonly sessionExpirySeconds: number;
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs?: number;
  readonly backoff?: Backoff;
}

export interface LinkOwner extends Pick<FrameHandler, 'publish' | 'oversize'> {
  chunkEnd(): void;
  /** Messages offered and neither committed nor discarded. */
  held(): number;
  /** A session begins; returns true when what is stored of the old one must be cleared first. */
  session(resumed: boolean, version: MqttVersion): boolean;
  /** Clears it on disk, then calls `cleared` on the link. */
  clear(): void;
  live(): void;
  down(error: string): void;
}

/** Refusals that only a person can mend: bad login, not authorised, banned, taken over, … */
const SLOW_CODES = new Set([2, 4, 5, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8e, 0x9d]);
/** Unacceptable protocol version, in 3.1.1 and in 5. */
const VERSION_CODES = new Set([1, 0x84]);
const CONNECT_TIMEOUT_MS = 10_000;

export class MqttLink {
  readonly #settings: MqttLinkSettings;
  readonly #resolve: ResolveSecret;
  readonly #owner: LinkOwner;
  readonly #clock: Clock;
  readonly #random: Random;
  #state: MqttState = initialState;
  #version: MqttVersion;
  #connection: MqttConnection | null = null;
  #cancelWait: (() => void) | null = null;

  constructor(
    settings: MqttLinkSettings,
    resolve: ResolveSecret,
    owner: LinkOwner,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#settings = settings;
    this.#resolve = resolve;
    this.#owner = owner;
    this.#clock = clock;
    this.#random = random;
    this.#version = settings.protocolVersion ?? 5;
  }

  get version(): MqttVersion {
    return this.#version;
  }

  start(): void {
    this.#dispatch({ type: 'due', held: this.#owner.held() });
  }

  drained(): void {
    this.#dispatch({ type: 'drained' });
  }

  cleared(): void {
    this.#dispatch({ type: 'cleared' });
  }

  write(packets: Buffer): void {
    this.#connection?.write(packets);
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  drop(reason: string): void {
    this.#connection?.drop(reason);
  }

  async stop(): Promise<void> {
    this.#dispatch({ type: 'stop' });
    this.#cancelWait?.();
    const connection = this.#connection;
    this.#connection = null;
    await connection?.end();
  }

  #dispatch(event: MqttEvent): void {
    const { backoff = defaultBackoff } = this.#settings;
    const { state, effects } = transition(this.#state, event, backoff);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: MqttEffect): void {
    switch (effect.do) {
      case 'open':
        void this.#open();
        break;
      case 'clear':
        this.#owner.clear();
        break;
      case 'subscribe':
        void this.#subscribe();
        break;
      case 'announceLive':
        this.#owner.live();
        break;
      case 'wait':
        this.#cancelWait = this.#clock.after(jittered(this.#random, effect.ms, 0.3), () =>
          this.#dispatch({ type: 'due', held: this.#owner.held() }),
        );
        break;
    }
  }

  /** Never rejects: every failure is the event `closed`. */
  async #open(): Promise<void> {
    const { endpoint, connectTimeoutMs = CONNECT_TIMEOUT_MS, ...settings } = this.#settings;
    try {
      const login = await prepareLogin(endpoint, this.#resolve);
      if (this.#state.phase !== 'connecting') return;
      const owner = this.#owner;
      this.#connection = new MqttConnection(
        {
          ...settings,
          login,
          connectTimeoutMs,
          protocolVersion: this.#version,
          payloadBytesMax: limits.payloadBytesMax,
        },
        {
          publish: (topic, flags, id, payload, meta) =>
            owner.publish(topic, flags, id, payload, meta),
          oversize: (topic, flags, id, bytes) => owner.oversize(topic, flags, id, bytes),
          chunkEnd: () => owner.chunkEnd(),
          connack: (present) => {
            const mustClear = owner.session(present, this.#version);
            this.#dispatch({ type: 'connack', mustClear });
          },
          closed: (end) => this.#closed(end),
        },
        this.#clock,
      );
    } catch (error) {
      this.#closed({ reason: messageOf(error), code: 4, connacked: false, reached: false });
    }
  }

  async #subscribe(): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    try {
      await connection.subscribe(this.#settings.topic, this.#settings.qos);
      if (connection === this.#connection) this.#dispatch({ type: 'granted' });
    } catch (error) {
      connection.drop(messageOf(error));
    }
  }

  #closed(end: ConnectionEnd): void {
    this.#connection = null;
    if (this.#state.phase === 'stopped') return;
    const switched = this.#switchVersion(end);
    if (!switched) this.#owner.down(`${this.#settings.endpoint.url}: ${end.reason}`);
    const slow = end.code !== null && SLOW_CODES.has(end.code);
    this.#dispatch({ type: 'closed', slow, atOnce: switched });
  }

  /** True when the next attempt speaks 3.1.1 because this broker does not speak 5. */
  #switchVersion(end: ConnectionEnd): boolean {
    if (this.#settings.protocolVersion !== undefined || this.#state.phase !== 'connecting') {
      return false;
    }
    const refused = end.code !== null && VERSION_CODES.has(end.code);
    const hungUp = end.reached && !end.connacked;
    if (!refused && !hungUp) return false;
    // A broker that hangs up on both versions has another reason: try each in turn, with waits.
    const first = this.#version === 5;
    this.#version = first ? 4 : 5;
    return first;
  }
}
