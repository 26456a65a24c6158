/**
 * Cuts a stream of MQTT bytes into packets and takes the PUBLISH packets out of it.
 *
 * Why not MQTT.js's own parser: it spends 13 to 17 µs on a QoS 1 message (a buffer list, several
 * events, a tick and an acknowledgement packet for each), and it acknowledges one message at a
 * time, with no public way to hold a PUBACK until the commit. A PUBLISH is the one packet that
 * comes by the thousand, and its layout is a dozen lines of the standard; everything else
 * (CONNECT, SUBSCRIBE, PING, …) stays with the library. It also lets a payload that is too large
 * be skipped without ever being held in memory.
 *
 * Layout: `flags(1) remaining-length(1..4) topic-length(2) topic packet-id(2, QoS > 0)
 * properties(MQTT 5) payload`.
 *
 * Refused as malformed: QoS 3 (and 2, unless asked for), a remaining length of more than four
 * bytes, a topic or properties longer than their packet, a control packet above 256 KiB. The
 * payload handed out is a slice of the chunk that was read, never a copy, unless the packet spans
 * chunks.
 */
import { type MqttMeta, MalformedPacket, parseProperties } from './mqtt-properties.ts';
import { type Topic, TopicCache } from './topic-cache.ts';

export interface FrameHandler {
  /** QoS 0 or 1 (in `flags`); `packetId` is 0 for QoS 0. */
  publish(topic: Topic, flags: number, packetId: number, payload: Buffer, meta?: MqttMeta): void;
  /** A PUBLISH above the bound: its payload is skipped. */
  oversize(topic: Topic, flags: number, packetId: number, payloadBytes: number): void;
  /** Any other packet, whole; `type` is its upper nibble (2 is CONNACK). */
  control(frame: Buffer, type: number): void;
  /** The peer broke the protocol; nothing more is parsed. */
  malformed(reason: string): void;
}

export interface FrameOptions {
  /** 5 has properties between packet id and payload. */
  readonly properties: boolean;
  readonly payloadBytesMax: number;
  /** Hand QoS 2 packets to `control`, whole; otherwise they are malformed. */
  readonly passQos2?: boolean;
}

export const PUBLISH_RETAIN = 0x01;
export const PUBLISH_DUP = 0x08;
export const qosOf = (flags: number): number => (flags >> 1) & 3;

const PUBLISH = 3;
const CONTROL_BYTES_MAX = 256 * 1024;
/** Room for MQTT 5 properties beside a payload of exactly the bound, before they are parsed. */
const PROPERTIES_SLACK_BYTES = 64 * 1024;

export class MqttFrames {
  readonly #handler: FrameHandler;
  readonly #options: FrameOptions;
  readonly #topics: TopicCache;
  /** Chunks of a packet that is not whole yet, and how many bytes make it so. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #needBytes = 0;
  #skipBytes = 0;
  #held: Buffer | null = null;
  #paused = false;
  #stopped = false;

  constructor(handler: FrameHandler, options: FrameOptions, topics = new TopicCache()) {
    this.#handler = handler;
    this.#options = options;
    this.#topics = topics;
  }

  /** Takes effect at once, in the middle of a chunk too: the rest waits for `resume`. */
  pause(): void {
    this.#paused = true;
  }

  /** Parses what waited; returns false when it was paused again meanwhile. */
  resume(): boolean {
    this.#paused = false;
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#parse(held);
    return !this.#paused;
  }

  /** Nothing more is parsed. */
  stop(): void {
    this.#stopped = true;
    this.#held = null;
  }

  feed(chunk: Buffer): void {
    if (this.#stopped) return;
    if (this.#held !== null) {
      this.#held = Buffer.concat([this.#held, chunk]);
      return;
    }
    if (this.#partsBytes === 0) {
      this.#parse(chunk);
      return;
    }
    this.#parts.push(chunk);
    this.#partsBytes += chunk.length;
    if (this.#partsBytes < this.#needBytes) return;
    const whole = Buffer.concat(this.#parts, this.#partsBytes);
    this.#parts = [];
    this.#partsBytes = 0;
    this.#parse(whole);
  }

  #parse(buffer: Buffer): void {
    let at = 0;
    try {
      while (at < buffer.length) {
        if (this.#stopped) return;
        if (this.#paused) {
          this.#held = buffer.subarray(at);
          return;
        }
        const next = this.#skipBytes > 0 ? this.#skip(buffer, at) : this.#packet(buffer, at);
        if (next < 0) return;
        at = next;
      }
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      this.#stopped = true;
      this.#handler.malformed(error.message);
    }
  }

  #skip(buffer: Buffer, at: number): number {
    const skipped = Math.min(this.#skipBytes, buffer.length - at);
    this.#skipBytes -= skipped;
    return at + skipped;
  }

  /** Keeps an unfinished packet until it has `needBytes`. */
  #wait(buffer: Buffer, at: number, needBytes: number): number {
    const part = buffer.subarray(at);
    this.#parts.push(part);
    this.#partsBytes = part.length;
    this.#needBytes = needBytes;
    return -1;
  }

  /** Handles the packet at `at`; returns where the next begins, or -1 when bytes are missing. */
  #packet(buffer: Buffer, at: number): number {
    let body = at + 1;
    let bytes = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 21) throw new MalformedPacket('a remaining length of more than four bytes');
      if (body >= buffer.length) return this.#wait(buffer, at, buffer.length - at + 1);
      const digit = buffer[body] as number;
      body += 1;
      bytes |= (digit & 0x7f) << shift;
      if (digit < 0x80) break;
    }
    const first = buffer[at] as number;
    const type = first >> 4;
    const end = body + bytes;
    if (type === PUBLISH) return this.#publish(buffer, at, body, end);
    if (bytes > CONTROL_BYTES_MAX) throw new MalformedPacket(`a control packet of ${bytes} bytes`);
    if (end > buffer.length) return this.#wait(buffer, at, end - at);
    this.#handler.control(buffer.subarray(at, end), type);
    return end;
  }

  #publish(buffer: Buffer, at: number, body: number, end: number): number {
    const flags = (buffer[at] as number) & 0x0f;
    const qos = (flags >> 1) & 3;
    if (qos === 3) throw new MalformedPacket('a PUBLISH with QoS 3');
    if (end > buffer.length) {
      if (end - body > this.#options.payloadBytesMax + PROPERTIES_SLACK_BYTES) {
        return this.#oversize(buffer, at, body, end);
      }
      return this.#wait(buffer, at, end - at);
    }
    if (end - body < 2) throw new MalformedPacket('a PUBLISH without a topic');
    const topicStart = body + 2;
    const topicEnd = topicStart + buffer.readUInt16BE(body);
    let payload = qos > 0 ? topicEnd + 2 : topicEnd;
    if (payload > end) throw new MalformedPacket('a topic longer than its packet');
    const topic = this.#topics.get(buffer, topicStart, topicEnd);
    const packetId = qos > 0 ? buffer.readUInt16BE(topicEnd) : 0;
    let meta: MqttMeta | undefined;
    if (this.#options.properties) {
      if (payload < end && buffer[payload] === 0) payload += 1;
      else ({ meta, end: payload } = parseProperties(buffer, payload, end));
    }
    if (end - payload > this.#options.payloadBytesMax) {
      this.#handler.oversize(topic, flags, packetId, end - payload);
    } else if (qos === 2) {
      if (this.#options.passQos2 !== true) throw new MalformedPacket('a PUBLISH with QoS 2');
      this.#handler.control(buffer.subarray(at, end), PUBLISH);
    } else {
      this.#handler.publish(topic, flags, packetId, buffer.subarray(payload, end), meta);
    }
    return end;
  }

  /** Reads topic and packet id, then skips the rest as it comes. */
  #oversize(buffer: Buffer, at: number, body: number, end: number): number {
    const flags = (buffer[at] as number) & 0x0f;
    if (body + 2 > buffer.length) return this.#wait(buffer, at, body + 2 - at);
    const topicEnd = body + 2 + buffer.readUInt16BE(body);
    const headEnd = qosOf(flags) > 0 ? topicEnd + 2 : topicEnd;
    if (headEnd > buffer.length) return this.#wait(buffer, at, headEnd - at);
    const topic = this.#topics.get(buffer, body + 2, topicEnd);
    const packetId = qosOf(flags) > 0 ? buffer.readUInt16BE(topicEnd) : 0;
    this.#skipBytes = end - headEnd;
    this.#handler.oversize(topic, flags, packetId, end - headEnd);
    return headEnd;
  }
}
