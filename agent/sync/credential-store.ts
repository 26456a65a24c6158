/**
 * The credentials in use and the newest list of signing keys, on disk before they are used.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Credentials, RenewReply } from '@runnel/shared/protocol/enrolment.ts';
import type { DataFiles } from '../config/data-files.ts';
import { writeCredentials, writeTrust } from '../config/identity-files.ts';
import { type DesiredStore, type KeyTrust, verifyKeyList } from './desired.ts';

export interface CredentialStoreOptions {
  readonly files: DataFiles;
  readonly rootFingerprint: string;
  /** Highest list of signing keys known. */
  readonly keySequence: number;
  /** Null before approval. */
  readonly current: Credentials | null;
  readonly desired: DesiredStore;
}

export class CredentialStore {
  readonly #options: CredentialStoreOptions;
  #trust: KeyTrust;
  #current: Credentials | null;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
    this.#current = options.current;
    const { rootFingerprint, keySequence: sequence } = options;
    this.#trust = { rootFingerprint, sequence };
  }

  get current(): Credentials | null {
    return this.#current;
  }

  required(): Credentials {
    if (this.#current !== null) return this.#current;
    throw new RunnelError('not_approved', 'this device has no credentials yet');
  }

  /** Takes a renewal whose key list verifies. Errors: those of `verifyKeyList`. */
  async accept(reply: RenewReply): Promise<void> {
    const { files, desired } = this.#options;
    const keys = verifyKeyList(this.#trust, reply.keys);
    if (keys.sequence > this.#trust.sequence) {
      await writeTrust(files, reply.keys);
      this.#trust = { ...this.#trust, sequence: keys.sequence };
      desired.raiseSequence(keys.sequence);
    }
    await writeCredentials(files, reply.credentials);
    this.#current = reply.credentials;
  }
}
