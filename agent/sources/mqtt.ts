/**
 * The `mqtt` source: a subscription at a broker.
 *
 * Guarantees: a QoS 1 message is acknowledged only when the commit that holds it is on disk (I1);
 * what a broker sends again although it was committed is recognised and not counted twice (I2).
 * The session is persistent, with a client id that is stable over restarts. Retained messages are
 * taken once per session: MQTT 5 does that by retain handling; a 3.1.1 broker sends them again at
 * every SUBSCRIBE, and what it repeats is acknowledged and not counted. Not reading the socket is
 * the backpressure. QoS 0 messages have no redelivery: those read and not yet committed are lost
 * with the process, and counted when a commit is discarded.
 *
 * Refused: QoS 2 (the subscription asks for 1 at most; the broker then delivers at QoS 1). A
 * payload above `limits.payloadBytesMax` is dropped, counted as `payload_too_large` and
 * acknowledged in its turn, or the broker would send it for ever.
 *
 * User properties, content type and response topic of MQTT 5 are the record's `meta`.
 */
import { crc32 } from 'node:zlib';
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import { assert } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { DeferredPubacks } from './deferred-puback.ts';
import type { MqttVersion } from './mqtt-connection.ts';
import { type ResolveSecret, brokerAddress } from './mqtt-endpoint.ts';
import { PUBLISH_DUP, PUBLISH_RETAIN, qosOf } from './mqtt-frames.ts';
import { MqttLink, type MqttLinkSettings } from './mqtt-link.ts';
import type { MqttMeta } from './mqtt-properties.ts';
import { RedeliveryRing } from './redelivery-ring.ts';
import { SourceTally } from './source-tally.ts';
import type { Source, SourceCommit, SourceContext } from './source.ts';
import type { Topic } from './topic-cache.ts';

/** What the checkpoint keeps: that this session's retained messages have been taken. */
interface MqttOffset {
  readonly subscribed: boolean;
}

/** mosquitto sends this many unacknowledged messages to a 3.1.1 client. */
const RECEIVE_WINDOW_311 = 20;
/**
 * More than the receive maximum: a 3.1.1 broker does not know it, and mosquitto 2.0.11 was seen to
 * have four times as many messages in flight once PUBACKs come in bursts.
 */
const RING_ENTRIES_MIN = limits.gatherRecordsMax;

const AGAIN = PUBLISH_RETAIN | PUBLISH_DUP;

export class MqttSource implements Source {
  readonly id: string;
  readonly kind = 'mqtt';
  readonly #settings: MqttLinkSettings;
  readonly #resolve: ResolveSecret;
  readonly #tally = new SourceTally();
  readonly #held = new DeferredPubacks();
  #context: SourceContext | null = null;
  #link: MqttLink | null = null;
  #ring: RedeliveryRing;
  /** After a resumed session: what was committed, until the first message that is new. */
  #check: Map<number, number> | null = null;
  /** The RETAIN and DUP bits of a message that this session has already brought; -1: none. */
  #retainedAgain = -1;
  /** Whether the checkpoint says `subscribed`, and what the commit in preparation says. */
  #stored = false;
  #staged: boolean | null = null;
  #clearing = false;
  #paused = false;

  constructor(id: string, settings: MqttLinkSettings, resolve: ResolveSecret) {
    brokerAddress(settings.endpoint);
    this.id = id;
    this.#settings = settings;
    this.#resolve = resolve;
    this.#ring = newRing(settings, []);
  }

  get receiveWindow(): number {
    return this.#link?.version === 4 ? RECEIVE_WINDOW_311 : this.#settings.receiveMaximum;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    const offset = context.checkpoint.offset as MqttOffset | null | undefined;
    this.#stored = offset?.subscribed === true;
    this.#ring = newRing(this.#settings, context.checkpoint.ring);
    this.#link = new MqttLink(
      this.#settings,
      this.#resolve,
      {
        publish: (topic, flags, id, payload, meta) =>
          this.#publish(topic, flags, id, payload, meta),
        oversize: (_topic, flags, id) => this.#skip('payload_too_large', flags, id),
        chunkEnd: () => this.#release(0),
        held: () => this.#held.offered,
        session: (resumed, version) => this.#session(resumed, version),
        clear: () => this.#clear(),
        live: () => this.#live(),
        down: (error) => this.#down(error),
      },
      context,
    );
    this.#link.start();
  }

  prepareCommit(count: number): SourceCommit {
    this.#held.peek(count, (packetId, crc) => this.#ring.add('', packetId, crc));
    const subscribed = !this.#clearing;
    this.#staged = subscribed === this.#stored || (subscribed && count === 0) ? null : subscribed;
    const offset: MqttOffset = { subscribed };
    return { ...(this.#staged !== null && { offset }), ...this.#ring.prepare() };
  }

  committed(count: number): void {
    this.#ring.committed();
    if (this.#staged !== null) this.#stored = this.#staged;
    const cleared = this.#clearing && !this.#stored && !this.#ring.stored;
    this.#release(count);
    if (cleared) {
      this.#clearing = false;
      this.#link?.cleared();
    }
    if (this.#held.offered === 0) this.#link?.drained();
  }

  discarded(): void {
    this.#ring.discarded();
    this.#staged = null;
    const lost = this.#held.offeredQos0;
    if (lost > 0) this.#drop('discarded_qos0', lost);
    this.#held.clear();
    this.#link?.drop('a commit failed: the broker sends its messages again');
    this.#link?.drained();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#link?.resume();
  }

  report(): SourceReport {
    return this.#tally.report(this.id, this.kind);
  }

  async stop(): Promise<void> {
    // What is held stays: a last commit still needs its packet ids, for the broker sends it again.
    await this.#link?.stop();
  }

  /** The hot path: once per message. */
  #publish(
    topic: Topic,
    flags: number,
    packetId: number,
    payload: Buffer,
    meta: MqttMeta | undefined,
  ): void {
    if ((flags & AGAIN) === this.#retainedAgain) {
      this.#skip('retained_again', flags, packetId);
      return;
    }
    const crc = packetId === 0 ? 0 : crc32(payload, topic.crc);
    if (this.#check !== null && packetId !== 0 && this.#recognised(flags, packetId, crc)) return;
    this.#held.offer(packetId, crc);
    const tally = this.#tally;
    tally.records += 1;
    tally.bytes += payload.length;
    const record =
      meta === undefined
        ? { topic: topic.text, payload }
        : { topic: topic.text, payload, meta: meta as Readonly<Record<string, unknown>> };
    if (this.#context?.offer(record) === false) {
      this.#paused = true;
      this.#link?.pause();
    }
  }

  /** True for a redelivery of what was committed: acknowledged in its turn and not processed. */
  #recognised(flags: number, packetId: number, crc: number): boolean {
    if ((flags & PUBLISH_DUP) !== 0 && this.#check?.get(packetId) === crc) {
      this.#tally.redelivered += 1;
      this.#held.skip(packetId);
      return true;
    }
    this.#check = null;
    return false;
  }

  #skip(reason: string, flags: number, packetId: number): void {
    this.#drop(reason, 1);
    if (qosOf(flags) > 0) this.#held.skip(packetId);
  }

  #drop(reason: string, count: number): void {
    this.#tally.drop(reason, count);
    this.#context?.dropped(reason, count);
  }

  #release(count: number): void {
    const pubacks = this.#held.release(count);
    if (pubacks !== null) this.#link?.write(pubacks);
  }

  #session(resumed: boolean, version: MqttVersion): boolean {
    assert(this.#held.offered === 0, 'a session begins while messages of the last are held');
    this.#held.clear();
    this.#paused = false;
    this.#check = resumed && this.#ring.stored ? this.#ring.lookup('') : null;
    // Only a 3.1.1 broker repeats retained messages at SUBSCRIBE. When the last process died before
    // its first commit, it is the redelivered copies that are the repetition.
    if (!resumed || version === 5) this.#retainedAgain = -1;
    else this.#retainedAgain = this.#stored ? PUBLISH_RETAIN : AGAIN;
    if (!resumed) this.#ring.forget('');
    return !resumed && (this.#ring.stored || this.#stored);
  }

  #clear(): void {
    this.#clearing = true;
    this.#context?.requestCommit();
  }

  #live(): void {
    this.#tally.connected = true;
    this.#tally.error = null;
    this.#context?.connected(true);
  }

  #down(error: string): void {
    const news = this.#tally.connected || this.#tally.error !== error;
    this.#tally.connected = false;
    this.#tally.error = error;
    this.#clearing = false;
    if (news) this.#context?.connected(false, error);
  }
}

function newRing(settings: MqttLinkSettings, stored: readonly Uint8Array[]): RedeliveryRing {
  const entriesMax = Math.max(settings.receiveMaximum, RING_ENTRIES_MIN);
  return new RedeliveryRing({ entriesMax }, stored);
}
