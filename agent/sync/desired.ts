/**
 * Desired state: accepted only when its signature verifies (DESIGN.md §10, I9).
 *
 * Guarantees: the chain is pinned root fingerprint → root key → signing key list → document, each
 * signature over the exact text received; a list or revision lower than one accepted before is
 * refused, so that no replayed document comes back; the document names this agent. What was
 * accepted is on disk before it is applied, so that a device which powers on without a network
 * runs it. A refusal changes nothing and is reported.
 *
 * The document on disk is verified with the key list that it was accepted with: a key retired
 * since then stops new documents, not a device that cannot hear of its successor (I4).
 */
import { readFile } from 'node:fs/promises';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import {
  type DesiredDocument,
  desiredDocument,
  type SignedDesired,
  signedDesired,
  type SignedKeyList,
  type SigningKeyList,
  signingKeyList,
} from '@runnel/shared/protocol/desired.ts';
import { rootFingerprint, textHash, verifySignature } from '@runnel/shared/protocol/signing.ts';
import { parseMessage } from '@runnel/shared/protocol/version.ts';
import { isMissing, writeDurably } from '../config/durable-file.ts';
import type { TrustStore } from './trust-store.ts';

/** A reason why a desired state is not taken; the message is for people. */
function refused(code: string, message: string): RunnelError {
  return new RunnelError(code, message);
}

export interface KeyTrust {
  /** Pinned at enrolment; a root key with another fingerprint is nobody. */
  readonly rootFingerprint: string;
  /** The highest list accepted so far; 0 before the first. */
  readonly sequence: number;
}

/** Errors: `root_mismatch`, `keys_signature`, `keys_lower`, `protocol`, `protocol_version`. */
export function verifyKeyList(trust: KeyTrust, signed: SignedKeyList): SigningKeyList {
  const list = parseMessage(signingKeyList, parseJson(signed.payload, 'list of signing keys'));
  if (rootFingerprint(list.root) !== trust.rootFingerprint) {
    throw refused('root_mismatch', 'the root key is not the one pinned at enrolment');
  }
  if (!verifySignature(list.root, signed.payload, signed.signature)) {
    throw refused('keys_signature', 'the list of signing keys is not signed by the root key');
  }
  if (list.sequence < trust.sequence) {
    throw refused(
      'keys_lower',
      `list of signing keys ${list.sequence} is older than ${trust.sequence}, accepted before`,
    );
  }
  return list;
}

export interface DesiredTrust extends KeyTrust {
  readonly agent: AgentId;
  /** What is accepted now; revision 0 and an empty hash before the first. */
  readonly revision: number;
  readonly hash: string;
}

export interface VerifiedDesired {
  readonly document: DesiredDocument;
  /** SHA-256 hex of the payload. */
  readonly hash: string;
  readonly keys: SigningKeyList;
}

/**
 * The list by which a text of the control plane is signed. Errors beside those of `verifyKeyList`:
 * `key_unknown`, `signature_invalid`.
 */
export function verifySigned(
  trust: KeyTrust,
  signed: Omit<SignedDesired, 'v'>,
  what: string,
): SigningKeyList {
  const keys = verifyKeyList(trust, signed.keys);
  const key = keys.keys.find((candidate) => candidate.id === signed.keyId);
  if (key === undefined) {
    throw refused('key_unknown', `signing key ${signed.keyId} is not on the root's list`);
  }
  if (!verifySignature(key.publicKey, signed.payload, signed.signature)) {
    throw refused('signature_invalid', `the signature of the ${what} does not verify`);
  }
  return keys;
}

/**
 * Errors beside those of `verifySigned`: `agent_mismatch`, `revision_lower`, `revision_reused`
 * (same revision, other content).
 */
export function verifyDesired(trust: DesiredTrust, signed: SignedDesired): VerifiedDesired {
  const keys = verifySigned(trust, signed, 'desired state');
  const document = parseMessage(desiredDocument, parseJson(signed.payload, 'desired state'));
  const hash = textHash(signed.payload);
  if (document.agent !== trust.agent) {
    throw refused('agent_mismatch', `the desired state is for agent ${document.agent}`);
  }
  if (document.revision < trust.revision) {
    throw refused(
      'revision_lower',
      `revision ${document.revision} is older than ${trust.revision}, accepted before`,
    );
  }
  if (document.revision === trust.revision && trust.hash !== '' && hash !== trust.hash) {
    throw refused('revision_reused', `revision ${document.revision} came with other content`);
  }
  return { document, hash, keys };
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new RunnelError('protocol', `the ${what} is not JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export interface DesiredStoreOptions {
  readonly agent: AgentId;
  readonly trust: TrustStore;
  readonly path: string;
}

/** The accepted document on disk and in memory. */
export class DesiredStore {
  readonly #options: DesiredStoreOptions;
  #current: VerifiedDesired | null = null;

  constructor(options: DesiredStoreOptions) {
    this.#options = options;
  }

  get current(): DesiredDocument | null {
    return this.#current?.document ?? null;
  }

  /** The highest accepted, also when its document is lost. */
  get revision(): number {
    return Math.max(this.#current?.document.revision ?? 0, this.#options.trust.revision);
  }

  get hash(): string {
    return this.#current?.hash ?? '';
  }

  /**
   * Reads what was accepted last. Null when nothing was; a damaged, tampered or older file throws
   * `desired_unreadable`, and the next document from the control plane replaces it.
   */
  async load(): Promise<DesiredDocument | null> {
    let text: string;
    try {
      text = await readFile(this.#options.path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
    const { agent, trust } = this.#options;
    const { rootFingerprint, revision } = trust;
    try {
      const signed = parseMessage(signedDesired, JSON.parse(text));
      const known = { agent, rootFingerprint, sequence: 0, revision, hash: '' };
      this.#current = verifyDesired(known, signed);
    } catch (error) {
      throw new RunnelError(
        'desired_unreadable',
        `the desired state on disk is not usable: ${messageOf(error)}`,
        { cause: error, hint: 'it is replaced when the control plane is reached' },
      );
    }
    return this.#current.document;
  }

  /** Verifies, stores durably, and only then counts as accepted. */
  async accept(signed: SignedDesired): Promise<DesiredDocument> {
    const { agent, path, trust } = this.#options;
    const { rootFingerprint, sequence } = trust;
    const { revision, hash } = this;
    const known = { agent, rootFingerprint, sequence, revision, hash };
    const verified = verifyDesired(known, signed);
    // The document first: a crash in between must not leave one that is older than what is trusted.
    if (verified.hash !== hash) await writeDurably(path, `${JSON.stringify(signed)}\n`);
    this.#current = verified;
    await trust.raise(signed.keys, verified.keys.sequence, verified.document.revision);
    return verified.document;
  }
}
