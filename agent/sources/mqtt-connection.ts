/**
 * One connection to a broker: MQTT.js for everything but PUBLISH (see mqtt-frames.ts).
 *
 * A new MqttClient for each connection and no reconnect of its own: what must not survive a
 * connection (held PUBACKs, half a packet) cannot. `closed` is called exactly once. Reading the
 * CONNACK in the tap matters: redeliveries may follow it in the same chunk, before MQTT.js has
 * said that it is connected.
 */
import { MqttClient, ReasonCodes } from 'mqtt';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import type { Login } from './mqtt-endpoint.ts';
import type { FrameHandler } from './mqtt-frames.ts';
import { MqttTransport } from './mqtt-transport.ts';

export type MqttVersion = 4 | 5;

export interface ConnectionOptions {
  readonly login: Login;
  readonly clientId: string;
  readonly protocolVersion: MqttVersion;
  readonly keepaliveSeconds: number;
  readonly receiveMaximum: number;
  readonly sessionExpirySeconds: number;
  readonly payloadBytesMax: number;
  readonly connectTimeoutMs: number;
}

export interface ConnectionEvents extends Pick<FrameHandler, 'publish' | 'oversize'> {
  chunkEnd(): void;
  connack(sessionPresent: boolean): void;
  closed(end: ConnectionEnd): void;
}

export interface ConnectionEnd {
  readonly reason: string;
  /** The code of a CONNACK that refused, or of the broker's DISCONNECT. */
  readonly code: number | null;
  readonly connacked: boolean;
  /** The socket was open; it was not the network that failed. */
  readonly reached: boolean;
}

const CONNACK = 2;
const DISCONNECT = 14;
/** Normal disconnection, the same in 3.1.1 and 5. */
const DISCONNECT_PACKET = Buffer.from([0xe0, 0]);
const TCP_KEEPALIVE_MS = 30_000;
/** How long a broker may take to close after our DISCONNECT. */
const GOODBYE_MS = 1000;

export class MqttConnection {
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #clock: Clock;
  readonly #client: MqttClient;
  #transport: MqttTransport | null = null;
  #end: { reason: string | null; code: number | null } = { reason: null, code: null };
  #connacked = false;
  #reached = false;
  #closed = false;
  #cancelPing: (() => void) | null = null;
  #afterClose: (() => void) | null = null;

  constructor(options: ConnectionOptions, events: ConnectionEvents, clock: Clock) {
    this.#options = options;
    this.#events = events;
    this.#clock = clock;
    this.#client = new MqttClient(() => this.#buildTransport(), {
      protocolId: 'MQTT',
      protocolVersion: options.protocolVersion,
      clientId: options.clientId,
      clean: false,
      keepalive: options.keepaliveSeconds,
      reconnectPeriod: 0,
      connectTimeout: options.connectTimeoutMs,
      resubscribe: false,
      log: noLog,
      ...(options.login.username !== undefined && { username: options.login.username }),
      ...(options.login.password !== undefined && { password: options.login.password }),
      ...(options.protocolVersion === 5 && {
        properties: {
          receiveMaximum: options.receiveMaximum,
          sessionExpiryInterval: options.sessionExpirySeconds,
        },
      }),
    });
    this.#client.on('error', (error) => this.#fail(messageOf(error)));
    this.#client.on('close', () => this.#close());
  }

  /** All PUBACKs of a commit, as one write. */
  write(packets: Buffer): void {
    if (!this.#closed) this.#transport?.write(packets);
  }

  /** Resolves when the broker granted the subscription. */
  async subscribe(topic: string, qos: 0 | 1): Promise<void> {
    // Retain handling 1: a subscription that already stands does not get retained messages again.
    const options = this.#options.protocolVersion === 5 ? { qos, rh: 1 } : { qos };
    const [granted] = await this.#client.subscribeAsync(topic, options);
    if (granted === undefined || granted.qos > 2) {
      throw new RunnelError('subscribe_refused', `the broker refused to subscribe to ${topic}`, {
        hint: 'give this user read access to the topic at the broker',
      });
    }
  }

  /** Stops reading at this very message; pings go on, so that the session survives. */
  pause(): void {
    this.#transport?.pausePublishes();
    this.#keepAlive();
  }

  resume(): void {
    this.#cancelPing?.();
    this.#cancelPing = null;
    this.#transport?.resumePublishes();
  }

  /** Cuts the connection: the broker keeps what was not acknowledged. */
  drop(reason: string): void {
    this.#fail(reason);
    this.#transport?.destroy();
  }

  /** Leaves in good order, DISCONNECT after what was written; resolves when that is done. */
  async end(): Promise<void> {
    if (this.#closed || this.#transport === null) return;
    this.#fail('closed by the agent');
    const closed = new Promise<void>((resolve) => (this.#afterClose = resolve));
    const transport = this.#transport;
    const cancel = this.#clock.after(GOODBYE_MS, () => transport.destroy());
    if (this.#connacked) {
      // MQTT.js would first wait for whatever it still expects an answer to.
      transport.ignoreReads();
      transport.end(DISCONNECT_PACKET);
    } else {
      transport.destroy();
    }
    await closed;
    cancel();
  }

  #buildTransport(): MqttTransport {
    const socket = this.#options.login.open();
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    socket.once('connect', () => (this.#reached = true));
    const events = this.#events;
    const transport = new MqttTransport(
      socket,
      {
        publish: (topic, flags, id, payload, meta) =>
          events.publish(topic, flags, id, payload, meta),
        oversize: (topic, flags, id, bytes) => events.oversize(topic, flags, id, bytes),
        chunkEnd: () => events.chunkEnd(),
        control: (frame, type) => this.#control(frame, type),
        malformed: (reason) => this.drop(`the broker sent ${reason}`),
      },
      {
        properties: this.#options.protocolVersion === 5,
        payloadBytesMax: this.#options.payloadBytesMax,
      },
    );
    transport.on('error', (error) => this.#fail(messageOf(error)));
    this.#transport = transport;
    return transport;
  }

  #control(frame: Buffer, type: number): void {
    const body = frame.findIndex((byte, index) => index > 0 && byte < 0x80) + 1;
    if (type === CONNACK) {
      const code = frame[body + 1] ?? 0;
      this.#connacked = true;
      if (code === 0) this.#events.connack(((frame[body] ?? 0) & 1) === 1);
      else this.#refused(code);
    } else if (type === DISCONNECT) {
      const code = frame[body] ?? 0;
      this.#fail(`disconnected by the broker: ${reasonText(code)} (code ${code})`);
      this.#end.code = code;
    }
  }

  #refused(code: number): void {
    this.#fail(`the broker refused the connection: ${reasonText(code)} (code ${code})`);
    this.#end.code = code;
  }

  /** The first cause counts; what follows is its consequence. */
  #fail(reason: string): void {
    this.#end.reason ??= reason;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelPing?.();
    this.#afterClose?.();
    this.#events.closed({
      reason: this.#end.reason ?? 'the broker closed the connection',
      code: this.#end.code,
      connacked: this.#connacked,
      reached: this.#reached,
    });
  }

  /** While the socket is not read no PINGRESP arrives, and MQTT.js would give the peer up. */
  #keepAlive(): void {
    this.#cancelPing?.();
    this.#cancelPing = this.#clock.after(this.#options.keepaliveSeconds * 500, () => {
      if (this.#closed) return;
      if (this.#client.connected) {
        this.#client.sendPing();
        this.#client.reschedulePing(true);
      }
      this.#keepAlive();
    });
  }
}

function noLog(): void {}

function reasonText(code: number): string {
  const texts: Readonly<Record<number, string>> = ReasonCodes;
  return texts[code] ?? 'unknown reason';
}
