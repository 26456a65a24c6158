/**
 * What an agent keeps on disk, kept in memory: thousands of light agents share one disk, and its
 * flushes would be measured instead of the control plane. The checks are the agent's own: nothing
 * is taken whose chain of signatures, agent and revision do not hold.
 */
import { verifyDesired, verifyKeyList } from '@runnel/agent/sync/desired.ts';
import type { SyncOptions } from '@runnel/agent/sync/sync-loop.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { DesiredDocument, SignedDesired } from '@runnel/shared/protocol/desired.ts';
import type { Credentials, RenewReply } from '@runnel/shared/protocol/enrolment.ts';

/** What a device will never go below again. */
interface Pinned {
  readonly rootFingerprint: string;
  sequence: number;
}

export class MemoryCredentials implements Pick<
  SyncOptions['credentials'],
  'current' | 'required' | 'accept'
> {
  readonly #pinned: Pinned;
  #current: Credentials;

  constructor(pinned: Pinned, current: Credentials) {
    this.#pinned = pinned;
    this.#current = current;
  }

  get current(): Credentials {
    return this.#current;
  }

  required(): Credentials {
    return this.#current;
  }

  accept(reply: RenewReply): Promise<void> {
    this.#pinned.sequence = verifyKeyList(this.#pinned, reply.keys).sequence;
    this.#current = reply.credentials;
    return Promise.resolve();
  }
}

export class MemoryDesired implements Pick<SyncOptions['desired'], 'revision' | 'hash' | 'accept'> {
  readonly #agent: AgentId;
  readonly #pinned: Pinned;
  revision = 0;
  hash = '';

  constructor(agent: AgentId, pinned: Pinned) {
    this.#agent = agent;
    this.#pinned = pinned;
  }

  accept(signed: SignedDesired): Promise<DesiredDocument> {
    const { revision, hash } = this;
    const trust = { ...this.#pinned, agent: this.#agent, revision, hash };
    const verified = verifyDesired(trust, signed);
    this.#pinned.sequence = verified.keys.sequence;
    this.revision = verified.document.revision;
    this.hash = verified.hash;
    return Promise.resolve(verified.document);
  }
}
