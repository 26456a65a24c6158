/**
 * The key that signs what this build makes: an Ed25519 private key (PKCS#8, PEM, mode 0600), made
 * at the first build. Whoever publishes for others keeps one in a safe place and names it by
 * `RUNNEL_RELEASE_KEY`; control planes are then told its public half (`serve --packages-key`), so
 * that archives from anywhere else are not served.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { PackageManifest, ReleasedManifest } from '@runnel/shared/protocol/packages.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';

export interface ReleaseKey {
  /** Raw, base64url. */
  readonly publicKey: string;
  sign(manifest: PackageManifest): ReleasedManifest;
}

/** Error `release_key`: the file does not hold an Ed25519 key. */
export async function openReleaseKey(path: string): Promise<ReleaseKey> {
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(path, pem, { mode: 0o600, flag: 'wx' });
  }
  const key = privateKeyOf(path, await readFile(path, 'utf8'));
  const publicKey = String(createPublicKey(key).export({ format: 'jwk' }).x);
  return {
    publicKey,
    sign(manifest) {
      const payload = JSON.stringify(manifest);
      const signature = sign(null, Buffer.from(payload, 'utf8'), key).toString('base64url');
      return { v: PROTOCOL_VERSION, payload, publicKey, signature };
    },
  };
}

function privateKeyOf(path: string, pem: string) {
  const hint = 'it must hold an Ed25519 private key in PEM: openssl genpkey -algorithm ed25519';
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw new RunnelError('release_key', `${path}: ${messageOf(cause)}`, { cause, hint });
  }
  throw new RunnelError('release_key', `${path} holds another kind of key`, { hint });
}
