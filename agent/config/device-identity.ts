/** Everything on disk that says who this device is, read and checked at once. */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import { verifyKeyList } from '../sync/desired.ts';
import { type DeviceKey, deviceKey } from '../sync/device-key.ts';
import { TrustStore } from '../sync/trust-store.ts';
import type { DataFiles } from './data-files.ts';
import { readCredentials, readSeed, readTrust } from './identity-files.ts';

export interface DeviceIdentity {
  readonly key: DeviceKey;
  /** Null before approval. */
  readonly credentials: Credentials | null;
  readonly trust: TrustStore;
}

/** Errors: `identity_damaged`, and those of `verifyKeyList`. */
export async function readDeviceIdentity(
  files: DataFiles,
  rootFingerprint: string,
): Promise<DeviceIdentity> {
  const [seed, credentials, known] = await Promise.all([
    readSeed(files),
    readCredentials(files),
    readTrust(files),
  ]);
  if (seed === null) {
    throw new RunnelError('identity_damaged', `${files.seed} is missing`, {
      hint: 'enrol this device again with a new join token',
    });
  }
  const pinned = { rootFingerprint, sequence: 0 };
  const stored =
    known === null ? null : { ...known, sequence: verifyKeyList(pinned, known.keys).sequence };
  const trust = new TrustStore({ files, rootFingerprint, stored });
  return { key: deviceKey(seed), credentials, trust };
}
