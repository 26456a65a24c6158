/**
 * The properties of an MQTT 5 PUBLISH, as far as a record keeps them: user properties, content
 * type and response topic become the record's `meta`; the rest is skipped.
 *
 * A topic alias is refused: we announce a topic alias maximum of 0, so a broker that sends one
 * breaks the protocol.
 */

/** The peer broke the protocol; the message says how. */
export class MalformedPacket extends Error {}

export interface MqttMeta {
  readonly contentType?: string;
  readonly responseTopic?: string;
  /** A name that comes twice keeps its last value. */
  readonly userProperties?: Readonly<Record<string, string>>;
}

/** Reads the property block that begins at `start`; `end` is where the payload begins. */
export function parseProperties(
  buffer: Buffer,
  start: number,
  packetEnd: number,
): { meta: MqttMeta | undefined; end: number } {
  const length = varint(buffer, start, packetEnd);
  let at = length.end;
  const end = at + length.value;
  if (end > packetEnd) throw new MalformedPacket('properties longer than their packet');
  const meta: { contentType?: string; responseTopic?: string } = {};
  const user: [string, string][] = [];
  while (at < end) {
    const id = buffer[at] as number;
    at += 1;
    if (id === 0x01) at += 1;
    else if (id === 0x02) at += 4;
    else if (id === 0x0b) at = varint(buffer, at, end).end;
    else if (id === 0x03 || id === 0x08 || id === 0x09 || id === 0x26) {
      const first = text(buffer, at, end);
      at = first.end;
      if (id === 0x03) meta.contentType = first.value;
      else if (id === 0x08) meta.responseTopic = first.value;
      else if (id === 0x26) {
        const second = text(buffer, at, end);
        at = second.end;
        user.push([first.value, second.value]);
      }
    } else throw new MalformedPacket(`property 0x${id.toString(16)} in a PUBLISH`);
  }
  if (at !== end) throw new MalformedPacket('a property cut short');
  if (user.length > 0) return { meta: { ...meta, userProperties: fromPairs(user) }, end };
  return { meta: Object.keys(meta).length > 0 ? meta : undefined, end };
}

/** `__proto__` from the wire must be an ordinary key. */
function fromPairs(pairs: readonly [string, string][]): Record<string, string> {
  return Object.fromEntries(pairs);
}

function varint(buffer: Buffer, start: number, end: number): { value: number; end: number } {
  let value = 0;
  for (let index = 0; index < 4; index += 1) {
    const digit = start + index < end ? (buffer[start + index] as number) : -1;
    if (digit < 0) break;
    value |= (digit & 0x7f) << (7 * index);
    if (digit < 0x80) return { value, end: start + index + 1 };
  }
  throw new MalformedPacket('a variable length cut short');
}

function text(buffer: Buffer, start: number, end: number): { value: string; end: number } {
  const from = start + 2;
  const to = from <= end ? from + buffer.readUInt16BE(start) : Number.POSITIVE_INFINITY;
  if (to > end) throw new MalformedPacket('a property longer than its block');
  return { value: buffer.toString('utf8', from, to), end: to };
}
