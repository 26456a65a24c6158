/**
 * The `mqtt` source without a url: what devices publish to the agent's own broker.
 *
 * Guarantees: a publisher gets its PUBACK only when every source that takes the message has it in
 * a commit on disk (I1); what a publisher with a persistent session sends again, although it was
 * committed, is recognised by this source's own ring (I2), whether or not it says so (MQTT.js
 * sends again without DUP). With a clean session ids begin anew, so there only a message that says
 * DUP is recognised.
 *
 * Not recognised: what a publisher sends again without DUP in a clean session, as MQTT.js does by
 * default. Nothing tells it from a new message with the same id and content, and to drop one of
 * those would lose a record; such publishers need `clean: false`, or the job needs `identity:`.
 */
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { EmbeddedBroker } from './embedded-broker.ts';
import { type BrokerMessage, type MessageOrigin, type Taker, decrement } from './broker-message.ts';
import { PUBLISH_DUP } from './mqtt-frames.ts';
import { RedeliveryRing } from './redelivery-ring.ts';
import { SourceTally } from './source-tally.ts';
import type { Source, SourceCommit, SourceContext } from './source.ts';
import { topicMatcher } from './topic-filter.ts';

/** A publisher may have 65,535 messages in flight; this many are remembered over all of them. */
const RING = { entriesMax: 65_536, chunksMax: 256 };
/** Publishers have windows of their own; at half of this the cycle commits without waiting. */
const RECEIVE_WINDOW = 1024;

/** Name in the ring: a client's clean sessions are apart from its persistent one. */
function sessionOf({ clientId, resends }: Pick<MessageOrigin, 'clientId' | 'resends'>): string {
  return resends ? clientId : `${clientId}\0clean`;
}

export class BrokerSource implements Source, Taker {
  readonly id: string;
  readonly kind = 'mqtt';
  readonly receiveWindow = RECEIVE_WINDOW;
  readonly matches: (topic: string) => boolean;
  readonly #broker: EmbeddedBroker;
  readonly #tally = new SourceTally();
  #context: SourceContext | null = null;
  #ring = new RedeliveryRing(RING, []);
  #held: BrokerMessage[] = [];
  /** Per publisher, after its session began: what was committed, until its first new message. */
  readonly #checks = new Map<MessageOrigin, Map<number, number>>();

  constructor(id: string, topic: string, broker: EmbeddedBroker) {
    this.id = id;
    this.matches = topicMatcher(topic);
    this.#broker = broker;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    this.#ring = new RedeliveryRing(RING, context.checkpoint.ring);
    this.#broker.add(this);
  }

  take(message: BrokerMessage): boolean {
    this.#held.push(message);
    this.#tally.records += 1;
    this.#tally.bytes += message.payload.length;
    const { topic, payload } = message;
    return this.#context?.offer({ topic: topic.text, payload }) !== false;
  }

  recognises({ origin, packetId, crc, flags }: BrokerMessage): boolean {
    if (packetId === 0 || this.#checks.size === 0) return false;
    const check = this.#checks.get(origin);
    if (check === undefined) return false;
    const proves = origin.resends || (flags & PUBLISH_DUP) !== 0;
    if (proves && check.get(packetId) === crc) {
      this.#tally.redelivered += 1;
      return true;
    }
    this.#checks.delete(origin);
    // Ids of a clean session that began anew mean other messages than before.
    if (!origin.resends) this.#ring.forget(sessionOf(origin));
    return false;
  }

  opened(origin: MessageOrigin): void {
    const session = sessionOf(origin);
    const other = sessionOf({ clientId: origin.clientId, resends: !origin.resends });
    if (this.#ring.has(other)) this.#ring.forget(other);
    if (this.#ring.has(session)) this.#checks.set(origin, this.#ring.lookup(session));
  }

  closed(origin: MessageOrigin): void {
    this.#checks.delete(origin);
  }

  tooLarge(): void {
    this.#tally.drop('payload_too_large');
    this.#context?.dropped('payload_too_large');
  }

  listening(error: string | null): void {
    const connected = error === null;
    const news = this.#tally.connected !== connected || this.#tally.error !== error;
    this.#tally.connected = connected;
    this.#tally.error = error;
    if (news) this.#context?.connected(connected, error ?? undefined);
  }

  prepareCommit(count: number): SourceCommit {
    for (let index = 0; index < count; index += 1) {
      const message = this.#held[index] as BrokerMessage;
      if (message.packetId === 0) continue;
      this.#ring.add(sessionOf(message.origin), message.packetId, message.crc);
    }
    return this.#ring.prepare();
  }

  committed(count: number): void {
    this.#ring.committed();
    for (const message of this.#held.splice(0, count)) decrement(message);
  }

  discarded(): void {
    this.#ring.discarded();
    const held = this.#held;
    this.#held = [];
    for (const message of held) {
      message.origin.lost('a commit failed: send again');
      if (message.packetId === 0) {
        this.#tally.drop('discarded_qos0');
        this.#context?.dropped('discarded_qos0');
      }
      decrement(message);
    }
    this.#broker.goOn(this);
  }

  resume(): void {
    this.#broker.goOn(this);
  }

  report(): SourceReport {
    return this.#tally.report(this.id, this.kind);
  }

  async stop(): Promise<void> {
    // What is held stays: a last commit still needs its packet ids, for publishers send it again.
    await this.#broker.remove(this);
    this.#checks.clear();
  }
}
