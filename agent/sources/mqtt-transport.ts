/**
 * The stream between MQTT.js and the socket, with a tap for PUBLISH packets.
 *
 * MQTT.js takes its stream from a builder (public API). This one hands PUBLISH packets to us and
 * everything else on to MQTT.js, unchanged; what MQTT.js writes goes to the socket as it is. So
 * MQTT.js connects, subscribes and pings, and acknowledges nothing, with no private hook. Writes
 * of ours share its queue, so a packet is never cut by another.
 *
 * `pause` stops at the very message at which it is called and stops reading the socket: that is
 * the backpressure, and TCP hands it on to the broker.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { type FrameHandler, type FrameOptions, MqttFrames } from './mqtt-frames.ts';
import type { TopicCache } from './topic-cache.ts';

export interface TransportHandler extends FrameHandler {
  /** A chunk was parsed; PUBACKs of skipped messages can leave together. */
  chunkEnd(): void;
}

export class MqttTransport extends Duplex {
  readonly #socket: Socket;
  readonly #frames: MqttFrames;
  readonly #handler: TransportHandler;

  constructor(
    socket: Socket,
    handler: TransportHandler,
    options: FrameOptions,
    topics?: TopicCache,
  ) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#handler = handler;
    this.#frames = new MqttFrames(
      {
        publish: (topic, flags, id, payload, meta) =>
          handler.publish(topic, flags, id, payload, meta),
        oversize: (topic, flags, id, bytes) => handler.oversize(topic, flags, id, bytes),
        malformed: (reason) => handler.malformed(reason),
        control: (frame, type) => {
          handler.control(frame, type);
          if (!this.destroyed) this.push(frame);
        },
      },
      options,
      topics,
    );
    socket.on('data', (chunk: Buffer) => {
      this.#frames.feed(chunk);
      handler.chunkEnd();
    });
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  pausePublishes(): void {
    this.#frames.pause();
    this.#socket.pause();
  }

  resumePublishes(): void {
    const running = this.#frames.resume();
    this.#handler.chunkEnd();
    if (running && !this.destroyed) this.#socket.resume();
  }

  /** Reads on, so that the end of the stream is seen, and throws away what comes. */
  ignoreReads(): void {
    this.#frames.stop();
    this.#socket.resume();
  }

  /** Bytes accepted for writing and not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.writableLength + this.#socket.writableLength;
  }

  /** The socket pushes; there is nothing to pull. */
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  /** MQTT.js writes a packet in pieces and corks meanwhile: they leave as one. */
  override _writev(
    chunks: { chunk: Buffer | string; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const parts = chunks.map(({ chunk, encoding }) =>
      typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk,
    );
    this.#socket.write(Buffer.concat(parts), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // What a cut connection has read and not handed out comes again; it must not come twice.
    this.#frames.stop();
    this.#socket.destroy();
    done(error);
  }
}
