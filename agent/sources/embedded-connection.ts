/**
 * One client of the embedded broker, between its socket and aedes.
 *
 * PUBLISH packets at QoS 0 and 1 are taken out of the stream (mqtt-frames.ts) and acknowledged by
 * us, in their order, when the sources have committed them; everything else is aedes's. That also
 * bounds a packet before anything is held of it. Because aedes does not see those packets, the
 * keep-alive of a client is watched here: the CONNECT that aedes gets says 0.
 *
 * Messages wait until aedes has accepted the login, and until what an older connection of the same
 * client still has in the making is committed: the client sends it again, and only what is
 * committed is recognised.
 */
import type { Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import type { BrokerMessage, MessageOrigin, Taker } from './broker-message.ts';
import { qosOf } from './mqtt-frames.ts';
import { MqttTransport } from './mqtt-transport.ts';
import type { Topic, TopicCache } from './topic-cache.ts';
import type { Route } from './topic-routes.ts';

export interface ConnectionOwner {
  monotonicMs(): number;
  /** Who takes this topic, and whether anyone may publish to it. */
  route(topic: Topic): Route;
  /** Settled: to local subscribers; `done` when they have taken it. */
  forward(message: BrokerMessage, done: () => void): void;
  /** Nothing of this connection is in the making any more. */
  drained(connection: EmbeddedConnection): void;
  closed(connection: EmbeddedConnection): void;
}

const CONNECT = 1;
const PUBACK_BYTES = 4;
/** Messages of one publisher that local subscribers have not taken yet; then it is held. */
const FORWARDING_MAX = 256;

export class EmbeddedConnection implements MessageOrigin {
  readonly transport: MqttTransport;
  readonly remote: string;
  clientId = '';
  resends = false;
  /** Why it was cut, for the log. */
  reason: string | null = null;
  readonly #owner: ConnectionOwner;
  #phase: 'fresh' | 'connecting' | 'waiting' | 'open' | 'closed' = 'fresh';
  #queue: BrokerMessage[] = [];
  #flushing = false;
  #forwarding = 0;
  #keepaliveMs = 0;
  #seenMs: number;
  readonly #heldFor = new Set<Taker | 'subscribers'>();

  constructor(
    socket: Socket,
    owner: ConnectionOwner,
    options: { readonly payloadBytesMax: number; readonly topics: TopicCache },
  ) {
    this.#owner = owner;
    this.#seenMs = owner.monotonicMs();
    this.remote = `${socket.remoteAddress}:${socket.remotePort}`;
    this.transport = new MqttTransport(
      socket,
      {
        publish: (topic, flags, id, payload) => this.#publish(topic, flags, id, payload),
        oversize: (topic, flags, id) => this.#oversize(topic, flags, id),
        control: (frame, type) => this.#control(frame, type),
        malformed: (reason) => this.cut(`it sent ${reason}`),
        chunkEnd: () => (this.#seenMs = owner.monotonicMs()),
      },
      { properties: false, payloadBytesMax: options.payloadBytesMax, passQos2: true },
      options.topics,
    );
    this.transport.on('error', (error: Error) => (this.reason ??= error.message));
    this.transport.on('close', () => this.#close());
  }

  get isClosed(): boolean {
    return this.#phase === 'closed';
  }

  /** aedes accepted the login; `begin` lets messages in. */
  accepted(clientId: string, clean: boolean): void {
    this.clientId = clientId;
    this.resends = !clean;
    if (this.#phase === 'connecting') this.#phase = 'waiting';
  }

  get isWaiting(): boolean {
    return this.#phase === 'waiting';
  }

  begin(): void {
    if (this.#phase !== 'waiting') return;
    this.#phase = 'open';
    this.transport.resumePublishes();
  }

  cut(reason: string): void {
    this.reason ??= reason;
    this.transport.destroy();
  }

  lost(reason: string): void {
    this.cut(reason);
  }

  /** Silent for one and a half times its keep-alive; one that we do not read cannot be judged. */
  isSilent(nowMs: number): boolean {
    if (this.#keepaliveMs === 0 || this.#phase !== 'open' || this.#heldFor.size > 0) return false;
    return nowMs - this.#seenMs > this.#keepaliveMs * 1.5;
  }

  holdFor(holder: Taker | 'subscribers'): void {
    this.#heldFor.add(holder);
    this.transport.pausePublishes();
  }

  goOn(holder: Taker | 'subscribers'): void {
    if (!this.#heldFor.delete(holder) || this.#heldFor.size > 0) return;
    this.#seenMs = this.#owner.monotonicMs();
    if (this.#phase === 'open') this.transport.resumePublishes();
  }

  settled(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    // A commit settles its messages one by one; their PUBACKs leave together.
    queueMicrotask(() => this.#flush());
  }

  #publish(topic: Topic, flags: number, packetId: number, payload: Buffer): void {
    const { problem, takers } = this.#owner.route(topic);
    if (problem !== null || this.#phase !== 'open') {
      this.cut(problem ?? 'a PUBLISH before CONNECT');
      return;
    }
    const crc = packetId === 0 ? 0 : crc32(payload, topic.crc);
    const message = { origin: this, topic, payload, flags, packetId, crc, waiting: 0 };
    this.#queue.push(message);
    for (const taker of takers) {
      if (taker.recognises(message)) continue;
      message.waiting += 1;
      if (!taker.take(message)) this.holdFor(taker);
    }
    if (message.waiting === 0) this.settled();
  }

  /** Dropped, counted by whoever would have taken it, and acknowledged in its turn. */
  #oversize(topic: Topic, flags: number, packetId: number): void {
    for (const taker of this.#owner.route(topic).takers) taker.tooLarge();
    const payload = Buffer.alloc(0);
    this.#queue.push({ origin: this, topic, payload, flags, packetId, crc: -1, waiting: 0 });
    this.settled();
  }

  #control(frame: Buffer, type: number): void {
    if (type !== CONNECT || this.#phase !== 'fresh') return;
    this.#phase = 'connecting';
    const body = frame.findIndex((byte, index) => index > 0 && byte < 0x80) + 1;
    // Protocol name, level (1), flags (1), then the keep-alive in seconds.
    const at = body + 2 + (body + 2 <= frame.length ? frame.readUInt16BE(body) : 0) + 2;
    if (at + 2 <= frame.length) {
      this.#keepaliveMs = frame.readUInt16BE(at) * 1000;
      frame.writeUInt16BE(0, at);
    }
    this.transport.pausePublishes();
  }

  #flush(): void {
    this.#flushing = false;
    const settled = this.#takeSettled();
    const open = this.#phase !== 'closed';
    const pubacks = Buffer.allocUnsafe(settled.length * PUBACK_BYTES);
    let bytes = 0;
    for (const { packetId } of settled) {
      if (packetId === 0 || !open) continue;
      bytes = pubacks.writeUInt16BE(0x4002, bytes);
      bytes = pubacks.writeUInt16BE(packetId, bytes);
    }
    if (bytes > 0) this.transport.write(pubacks.subarray(0, bytes));
    for (const message of settled) {
      // One that was cut off sends again what it got no PUBACK for; subscribers get that one.
      const again = !open && this.resends && message.packetId !== 0;
      if (message.crc !== -1 && !again) this.#forward(message);
    }
    if (this.#queue.length === 0) this.#owner.drained(this);
  }

  #takeSettled(): BrokerMessage[] {
    let count = 0;
    while (this.#queue[count]?.waiting === 0) count += 1;
    return this.#queue.splice(0, count);
  }

  #forward(message: BrokerMessage): void {
    this.#forwarding += 1;
    if (this.#forwarding >= FORWARDING_MAX) this.holdFor('subscribers');
    this.#owner.forward(message, () => {
      this.#forwarding -= 1;
      if (this.#forwarding <= FORWARDING_MAX / 2) this.goOn('subscribers');
    });
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#owner.closed(this);
    if (this.#queue.length === 0) this.#owner.drained(this);
  }
}

/** What is worth a word in the log when a client goes. */
export function describe(connection: EmbeddedConnection): string {
  const name = connection.clientId === '' ? 'a client' : `client ${connection.clientId}`;
  return `${name} at ${connection.remote}`;
}

export const isRetained = (message: BrokerMessage): boolean => (message.flags & 1) === 1;
export const qosOfMessage = (message: BrokerMessage): 0 | 1 => (qosOf(message.flags) === 0 ? 0 : 1);
