/**
 * What this device will never go below again (I9): the sequence of its root's list of signing keys,
 * and the revision of its desired state. On disk in `identity/trust.json`, apart from the document
 * itself: when `desired.json` is damaged or gone, an older document is still refused.
 */
import type { SignedKeyList } from '@runnel/shared/protocol/desired.ts';
import type { DataFiles } from '../config/data-files.ts';
import { type Trust, writeTrust } from '../config/identity-files.ts';

export interface TrustStoreOptions {
  readonly files: DataFiles;
  /** Pinned at enrolment; a root key with another fingerprint is nobody. */
  readonly rootFingerprint: string;
  /** What is on disk, verified; null before the first. */
  readonly stored: (Trust & { readonly sequence: number }) | null;
}

export class TrustStore {
  readonly rootFingerprint: string;
  readonly #files: DataFiles;
  #sequence: number;
  #revision: number;
  #keys: SignedKeyList | null;
  #writing: Promise<void> = Promise.resolve();

  constructor({ files, rootFingerprint, stored }: TrustStoreOptions) {
    this.rootFingerprint = rootFingerprint;
    this.#files = files;
    this.#sequence = stored?.sequence ?? 0;
    this.#revision = stored?.revision ?? 0;
    this.#keys = stored?.keys ?? null;
  }

  /** The highest list of signing keys accepted so far; 0 before the first. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The highest revision accepted so far; 0 before the first. */
  get revision(): number {
    return this.#revision;
  }

  /** Of what was verified; resolves when it is on disk. Lower ones change nothing. */
  async raise(keys: SignedKeyList, sequence: number, revision = 0): Promise<void> {
    const isNewer = sequence > this.#sequence || this.#keys === null;
    if (!isNewer && revision <= this.#revision) return;
    if (isNewer) this.#keys = keys;
    this.#sequence = Math.max(this.#sequence, sequence);
    this.#revision = Math.max(this.#revision, revision);
    const trust = { keys: this.#keys ?? keys, revision: this.#revision };
    // Two writes at once would share their temporary file; a failed one must not stop the next.
    const writing = this.#writing.then(() => writeTrust(this.#files, trust));
    this.#writing = writing.catch(() => undefined);
    await writing;
  }
}
