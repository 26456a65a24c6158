/**
 * The texts of NATS for Ed25519 keys ("nkeys"), read and written without the library, whose curve
 * in JavaScript costs 15 ms for each public key.
 *
 * A seed is base 32 of: two bytes of prefix (`S` and the role), 32 bytes of seed, CRC-16 (XMODEM,
 * low byte first); a public key: one byte of prefix (the role), 32 bytes, CRC-16.
 */

/** The role is the first letter of a public key: `U` a user, `A` an account, `O` an operator. */
export interface NkeyBytes {
  readonly role: string;
  /** The 32 bytes of the seed or of the public key. */
  readonly raw: Buffer;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const SEED_PREFIX = ALPHABET.indexOf('S') << 3;

/** Undefined for what is no whole seed. */
export function readSeed(text: string): NkeyBytes | undefined {
  const bytes = fromBase32(text);
  if (bytes.byteLength !== 36 || !hasChecksum(bytes)) return undefined;
  const [first = 0, second = 0] = bytes;
  if ((first & 0xf8) !== SEED_PREFIX) return undefined;
  const role = ALPHABET[((first & 7) << 2) | (second >> 6)];
  return role === undefined ? undefined : { role, raw: bytes.subarray(2, 34) };
}

/** Undefined for what is no whole public key. */
export function readPublicKey(text: string): NkeyBytes | undefined {
  const bytes = fromBase32(text);
  if (bytes.byteLength !== 35 || !hasChecksum(bytes)) return undefined;
  const role = ALPHABET[bytes[0]! >> 3];
  return role === undefined ? undefined : { role, raw: bytes.subarray(1, 33) };
}

export function publicKeyText({ role, raw }: NkeyBytes): string {
  const body = Buffer.concat([Buffer.of(ALPHABET.indexOf(role) << 3), raw]);
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE(crc16(body));
  return toBase32(Buffer.concat([body, checksum]));
}

function hasChecksum(bytes: Buffer): boolean {
  const end = bytes.byteLength - 2;
  return bytes.readUInt16LE(end) === crc16(bytes.subarray(0, end));
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    }
    crc &= 0xffff;
  }
  return crc;
}

function toBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + ALPHABET[(held << (5 - bits)) & 31];
}

/** Empty when the text is no base 32: its length and checksum then do not fit either. */
function fromBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of text) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) return Buffer.alloc(0);
    held = (held << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(held >> bits);
    held &= (1 << bits) - 1;
  }
  return Buffer.from(bytes);
}
