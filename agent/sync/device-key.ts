/**
 * The device's key: a NATS user nkey, which is an Ed25519 key in the base-32 dress of NATS
 * (DESIGN.md §10). It proves who the device is to the control plane and to the NATS server.
 *
 * On node:crypto: the library's own pure JavaScript curve costs 15 ms for each signature and each
 * public key on a fast machine, at every start and every connection. Making a key is left to the
 * library. The text of a seed is base 32 of: two bytes of prefix (`S`, `U`), 32 bytes of seed,
 * CRC-16 (XMODEM, low byte first); of a public key: one byte of prefix (`U`), 32 bytes, CRC-16.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { RunnelError } from '@runnel/shared/errors.ts';

export interface DeviceKey {
  /** NATS user public nkey, `U…`. */
  readonly publicKey: string;
  /** base64url signature over the text's UTF-8 bytes. */
  proof(text: string): string;
}

const USER_PREFIX = 20 << 3;
const SEED_PREFIX = 18 << 3;
/** What DER wants before the 32 bytes of a PKCS#8 Ed25519 private key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** `seed` is the text of a user seed, `SU…`. Errors: `identity_damaged`. */
export function deviceKey(seed: Uint8Array): DeviceKey {
  const raw = fromBase32(Buffer.from(seed).toString('ascii').trim());
  const isSeed =
    raw[0] === (SEED_PREFIX | (USER_PREFIX >> 5)) && raw[1] === (USER_PREFIX & 31) << 3;
  const body = raw.subarray(0, -2);
  if (raw.byteLength !== 36 || !isSeed || raw.readUInt16LE(34) !== crc16(body)) {
    throw new RunnelError('identity_damaged', "the device's key is damaged", {
      hint: 'enrol this device again with a new join token',
    });
  }
  const key = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, body.subarray(2)]),
    format: 'der',
    type: 'pkcs8',
  });
  const point = Buffer.from(String(createPublicKey(key).export({ format: 'jwk' }).x), 'base64url');
  return {
    publicKey: withChecksum(Buffer.concat([Buffer.of(USER_PREFIX), point])),
    proof: (text) => sign(null, Buffer.from(text, 'utf8'), key).toString('base64url'),
  };
}

function withChecksum(body: Buffer): string {
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE(crc16(body));
  return toBase32(Buffer.concat([body, checksum]));
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

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

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
