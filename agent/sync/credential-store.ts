/**
 * The credentials in use and the newest list of signing keys, on disk before they are used.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Credentials, RenewReply } from '@runnel/shared/protocol/enrolment.ts';
import type { DataFiles } from '../config/data-files.ts';
import { writeCredentials } from '../config/identity-files.ts';
import { verifyKeyList } from './desired.ts';
import type { TrustStore } from './trust-store.ts';

export interface CredentialStoreOptions {
  readonly files: DataFiles;
  /** Null before approval. */
  readonly current: Credentials | null;
  readonly trust: TrustStore;
}

export class CredentialStore {
  readonly #options: CredentialStoreOptions;
  #current: Credentials | null;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
    this.#current = options.current;
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
    const { files, trust } = this.#options;
    const keys = verifyKeyList(trust, reply.keys);
    await trust.raise(reply.keys, keys.sequence);
    await writeCredentials(files, reply.credentials);
    this.#current = reply.credentials;
  }
}
