/**
 * `runnel-agent verify-package`: whether an archive is one that this device's control plane vouches
 * for (shared/protocol/packages.ts). The chain: the root key's fingerprint, pinned at enrolment or
 * in the join token → the root's list of signing keys → the manifest → the archive's SHA-256.
 *
 * The installer asks it before an upgrade is unpacked, of the agent that is there already, and of a
 * first agent before it is put to use.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { JOIN_TOKEN } from '@runnel/shared/protocol/enrolment.ts';
import { packageManifest, servedManifest } from '@runnel/shared/protocol/packages.ts';
import { parseMessage } from '@runnel/shared/protocol/version.ts';
import { readAgentConfig } from '../config/agent-yaml.ts';
import { dataFiles } from '../config/data-files.ts';
import { readTrust } from '../config/identity-files.ts';
import { type KeyTrust, verifyKeyList, verifySigned } from '../sync/desired.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

export interface VerifyPackageOptions {
  readonly manifest: string;
  readonly token?: string;
  readonly data?: string;
}

/**
 * Errors: `usage`, `package_refused`, and those of the chain (`root_mismatch`, `keys_signature`,
 * `key_unknown`, `signature_invalid`, `protocol`).
 */
export async function verifyPackageCommand(
  terminal: Terminal,
  archive: string,
  options: VerifyPackageOptions,
): Promise<ExitCode> {
  const trust = await trustOf(options);
  const signed = parseMessage(servedManifest, await readJson(resolve(options.manifest)));
  verifySigned(trust, signed, 'manifest');
  const manifest = parseMessage(packageManifest, JSON.parse(signed.payload));
  const sha256 = await hashOf(resolve(archive));
  const file = manifest.files.find((candidate) => candidate.sha256 === sha256);
  if (file === undefined) {
    throw new RunnelError('package_refused', `${basename(archive)} is not in the signed manifest`, {
      hint: `its SHA-256 is ${sha256}; fetch it again from the control plane`,
    });
  }
  terminal.out(`${file.name}: signed by the control plane of this device\n`);
  return exitCodes.ok;
}

async function trustOf({ token, data }: VerifyPackageOptions): Promise<KeyTrust> {
  if ((token === undefined) === (data === undefined)) {
    throw new RunnelError('usage', 'give either --token or --data');
  }
  if (data !== undefined) {
    const files = dataFiles(resolve(data));
    const { rootFingerprint } = (await readAgentConfig(files)).identity;
    const stored = await readTrust(files);
    const pinned = { rootFingerprint, sequence: 0 };
    return stored === null
      ? pinned
      : { rootFingerprint, sequence: verifyKeyList(pinned, stored.keys).sequence };
  }
  const rootFingerprint = JOIN_TOKEN.exec(token!.trim())?.[3];
  if (rootFingerprint === undefined) throw new RunnelError('token_malformed', 'no join token');
  return { rootFingerprint, sequence: 0 };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (cause) {
    throw new RunnelError('usage', `--manifest ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
