/**
 * Every private key of the control plane, in `keys.json` (version 1, mode 0600), made in one step
 * at the first start and never again.
 *
 *   operator ── system account ── system user     pushes accounts to the NATS resolver
 *        └───── account ── device signer          scoped: what it signs can only be a device
 *                    └──── control user           the control plane itself
 *   root ── signing keys                          desired state; agents pin the root's fingerprint
 *
 * A crash leaves either no file or the whole one. The list of signing keys has a sequence that
 * only goes up; the key before the current one stays on the list, so that documents that were
 * signed by it stay good. Losing this file means enrolling every device anew: back it up.
 */
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { type KeyPair, createAccount, createOperator, createUser } from '@nats-io/nkeys';
import { z } from 'zod';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { SignedDesired, SignedKeyList } from '@runnel/shared/protocol/desired.ts';
import { rootFingerprint } from '@runnel/shared/protocol/signing.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Random } from '@runnel/shared/random.ts';
import { Ed25519Key } from './ed25519-key.ts';
import { nkeyPair } from './nkey-pair.ts';
import { createPrivateFile, readPrivateFile, writePrivateFile } from './private-file.ts';

const FORMAT = 1;
/** The current signing key and the one before it. */
const SIGNING_KEYS_MAX = 2;

const keyFile = z.object({
  v: z.literal(FORMAT),
  operator: z.string(),
  systemAccount: z.string(),
  systemUser: z.string(),
  account: z.string(),
  deviceSigner: z.string(),
  controlUser: z.string(),
  root: z.string(),
  /** The first one signs. */
  signing: z.array(z.object({ id: z.string(), seed: z.string() })).min(1),
  sequence: z.number().int().positive(),
  nonceSecret: z.string(),
});
type KeyFile = z.infer<typeof keyFile>;

export interface NatsKeys {
  readonly operator: KeyPair;
  readonly systemAccount: KeyPair;
  readonly systemUser: KeyPair;
  readonly account: KeyPair;
  readonly deviceSigner: KeyPair;
  readonly controlUser: KeyPair;
}

export class KeyRing {
  readonly nats: NatsKeys;
  readonly rootKey: string;
  /** SHA-256 of the root key, base64url: what join tokens carry. */
  readonly fingerprint: string;
  readonly #path: string;
  readonly #random: Random;
  readonly #root: Ed25519Key;
  #file: KeyFile;
  #signing: Ed25519Key;
  #list: SignedKeyList;

  /** Errors: `keys_unreadable`, `keys_version`. */
  static async open(keysDir: string, random: Random): Promise<KeyRing> {
    const path = join(keysDir, 'keys.json');
    const stored = await readPrivateFile(path);
    if (stored !== undefined) return new KeyRing(path, random, parse(path, stored));
    const made = newKeys(random);
    if (await createPrivateFile(path, `${JSON.stringify(made, null, 2)}\n`, random)) {
      return new KeyRing(path, random, made);
    }
    return await KeyRing.open(keysDir, random);
  }

  private constructor(path: string, random: Random, file: KeyFile) {
    this.#path = path;
    this.#random = random;
    this.#file = file;
    this.nats = {
      operator: nkeyPair(file.operator),
      systemAccount: nkeyPair(file.systemAccount),
      systemUser: nkeyPair(file.systemUser),
      account: nkeyPair(file.account),
      deviceSigner: nkeyPair(file.deviceSigner),
      controlUser: nkeyPair(file.controlUser),
    };
    this.#root = new Ed25519Key(file.root);
    this.rootKey = this.#root.publicKey;
    this.fingerprint = rootFingerprint(this.rootKey);
    this.#signing = new Ed25519Key(file.signing[0]!.seed);
    this.#list = this.#signList();
  }

  /** The list of signing keys, signed by the root key. */
  get keyList(): SignedKeyList {
    return this.#list;
  }

  signDesired(payload: string): SignedDesired {
    return {
      v: PROTOCOL_VERSION,
      payload,
      keyId: this.#file.signing[0]!.id,
      signature: this.#signing.sign(payload),
      keys: this.#list,
    };
  }

  /** A tag that only this control plane can make. */
  tag(text: string): string {
    return createHmac('sha256', this.#file.nonceSecret).update(text).digest('base64url');
  }

  /** A new key signs from now on; durable before it is used. */
  async rotateSigningKey(): Promise<void> {
    const signing = [newSigningKey(this.#random), ...this.#file.signing];
    const file = {
      ...this.#file,
      signing: signing.slice(0, SIGNING_KEYS_MAX),
      sequence: this.#file.sequence + 1,
    };
    await writePrivateFile(this.#path, `${JSON.stringify(file, null, 2)}\n`, this.#random);
    this.#file = file;
    this.#signing = new Ed25519Key(file.signing[0]!.seed);
    this.#list = this.#signList();
  }

  #signList(): SignedKeyList {
    const payload = JSON.stringify({
      v: PROTOCOL_VERSION,
      sequence: this.#file.sequence,
      root: this.rootKey,
      keys: this.#file.signing.map(({ id, seed }) => ({
        id,
        publicKey: new Ed25519Key(seed).publicKey,
      })),
    });
    return { payload, signature: this.#root.sign(payload) };
  }
}

function seedOf(pair: KeyPair): string {
  return Buffer.from(pair.getSeed()).toString('utf8');
}

function newSeed(random: Random): string {
  return Buffer.from(random.bytes(32)).toString('base64url');
}

function newSigningKey(random: Random): { id: string; seed: string } {
  return { id: randomId(random, 10), seed: newSeed(random) };
}

function newKeys(random: Random): KeyFile {
  return {
    v: FORMAT,
    operator: seedOf(createOperator()),
    systemAccount: seedOf(createAccount()),
    systemUser: seedOf(createUser()),
    account: seedOf(createAccount()),
    deviceSigner: seedOf(createAccount()),
    controlUser: seedOf(createUser()),
    root: newSeed(random),
    signing: [newSigningKey(random)],
    sequence: 1,
    nonceSecret: newSeed(random),
  };
}

function parse(path: string, text: string): KeyFile {
  const hint = 'restore keys.json from a backup; without it every device must be enrolled anew';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RunnelError('keys_unreadable', `${path} is not JSON`, { cause, hint });
  }
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > FORMAT) {
    throw new RunnelError('keys_version', `${path} has format ${version}; this reads ${FORMAT}`, {
      hint: 'start the newer release that wrote it',
    });
  }
  const parsed = keyFile.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RunnelError('keys_unreadable', `${path}: ${z.prettifyError(parsed.error)}`, { hint });
}
