/**
 * A sensor gateway at QoS 1 with a persistent session (MQTT 3.1.1): what was not acknowledged is
 * sent again with its packet id when the connection is back, all of it at once and in order. It
 * speaks the packets itself, because client libraries send again one by one, or give ids anew.
 */
import { type Socket, connect } from 'node:net';
import { type Packet, generate, parser } from 'mqtt-packet';
import { pause } from '../../support/pause.ts';
import type { Message } from './workload.ts';

const IN_FLIGHT_MAX = 300;
const RECONNECT_MS = 100;

export class Publisher {
  acknowledged = 0;
  readonly #port: number;
  /** By packet id, in the order given: what is not acknowledged. */
  readonly #open = new Map<number, Message>();
  #socket: Socket | undefined;
  #isUp = false;
  #ended = false;
  #nextId = 1;
  #wake: () => void = () => undefined;
  readonly #running: Promise<void>;

  constructor(port: number) {
    this.#port = port;
    this.#running = this.#run();
  }

  get unacknowledged(): number {
    return this.#open.size;
  }

  /** Publishes in order, at most `perSecond`; waits for `progress`, told how many are given. */
  async publish(
    messages: readonly Message[],
    perSecond: number,
    progress: (given: number) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const started = performance.now();
    let given = 0;
    for (const message of messages) {
      while (this.#open.size >= IN_FLIGHT_MAX) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      this.#give(message);
      given += 1;
      await progress(given);
      const early = (given / perSecond) * 1000 - (performance.now() - started);
      if (early > 5) await pause(early);
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#socket?.destroy();
    await this.#running;
  }

  #give(message: Message): void {
    const id = this.#nextId;
    this.#nextId = (id % 65_535) + 1;
    this.#open.set(id, message);
    if (this.#isUp) this.#send(id, message, false);
  }

  #send(messageId: number, { topic, payload }: Message, dup: boolean): void {
    this.#socket?.write(
      generate({ cmd: 'publish', topic, payload, qos: 1, messageId, dup, retain: false }),
    );
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      await this.#connection();
      this.#isUp = false;
      if (!this.#ended) await pause(RECONNECT_MS);
    }
  }

  /** One connection from its beginning to its end, whatever ends it. */
  #connection(): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(this.#port, '127.0.0.1');
      const incoming = parser({ protocolVersion: 4 });
      this.#socket = socket;
      incoming.on('packet', (packet) => this.#packet(packet));
      socket.once('connect', () => {
        const login = { clientId: 'gateway', clean: false, keepalive: 0 } as const;
        socket.write(
          generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, ...login }),
        );
      });
      socket.on('data', (bytes) => incoming.parse(bytes));
      // A refused or cut connection is this test's daily bread: `close` follows.
      socket.on('error', () => undefined);
      socket.once('close', () => resolve());
    });
  }

  #packet(packet: Packet): void {
    if (packet.cmd === 'connack') {
      this.#isUp = true;
      for (const [id, message] of this.#open) this.#send(id, message, true);
    } else if (packet.cmd === 'puback') {
      if (!this.#open.delete(packet.messageId as number)) return;
      this.acknowledged += 1;
      this.#wake();
    }
  }
}
