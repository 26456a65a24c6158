/**
 * Who may do what: devices, people, and the keys behind both (DESIGN.md §10). The one door to this
 * folder for the rest of the control plane.
 *
 * Guarantees: the private keys never leave `keysDir`; tokens and sessions are hashed at rest; a
 * revoked device is refused by the store at once, and by NATS as soon as the account is pushed,
 * which a failed push only delays.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { SignedDesired, SignedKeyList } from '@runnel/shared/protocol/desired.ts';
import type {
  EnrolReply,
  EnrolRequest,
  Labels,
  RenewReply,
  RenewRequest,
} from '@runnel/shared/protocol/enrolment.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Store } from '../store/open-store.ts';
import {
  type AgentRow,
  type DeviceParts,
  approveDevice,
  approvedAgent,
  checkRenewal,
  enrolDevice,
  issueCredentials,
  renewNonce,
  revokeDevice,
} from './devices.ts';
import { type JoinTokenRequest, type MadeToken, createJoinToken } from './join-tokens.ts';
import { KeyRing } from './key-ring.ts';
import { type NatsJwts, accountJwt, natsJwts } from './nats-jwts.ts';
import {
  type ApiTokenRequest,
  type Person,
  type Role,
  createApiToken,
  createSignInLink,
  endSession,
  ensureAdminToken,
  redeemSignInLink,
  verifyBearer,
  verifySession,
} from './people.ts';
import { currentRevocations } from './revocations.ts';

/** Devices renew at two thirds of it. */
const CREDENTIALS_MS = 7 * 24 * 3_600_000;

export interface IdentityOptions {
  readonly store: Pick<Store, 'db'>;
  readonly keysDir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Addresses at which devices reach NATS now. */
  readonly natsUrls: () => readonly string[];
  /** PEM of the private CA that signed NATS's certificate. */
  readonly natsCa: string | null;
  /** Brings the account's JWT to the resolver; rejects when that must wait. */
  readonly pushAccount: (jwt: string) => Promise<void>;
  /** What a device is told when it enrols. */
  readonly heartbeatIntervalMs: number;
  /** Life of a device's credentials; default 7 days. */
  readonly credentialsMs?: number;
}

export class Identity {
  readonly #options: IdentityOptions;
  readonly #keys: KeyRing;
  readonly #devices: DeviceParts;
  /** Pushes one after another: the newest account JWT must be the last that the server sees. */
  #pushes: Promise<void> = Promise.resolve();

  /** Makes the keys at the first start. Errors: `keys_unreadable`, `keys_version`. */
  static async open(options: IdentityOptions): Promise<Identity> {
    return new Identity(options, await KeyRing.open(options.keysDir, options.random));
  }

  private constructor(options: IdentityOptions, keys: KeyRing) {
    this.#options = options;
    this.#keys = keys;
    const { store, clock, random, natsUrls, natsCa } = options;
    const credentialsMs = options.credentialsMs ?? CREDENTIALS_MS;
    this.#devices = { db: store.db, keys, clock, random, natsUrls, natsCa, credentialsMs };
  }

  /** SHA-256 of the root key, base64url: what join tokens carry and devices pin. */
  get rootFingerprint(): string {
    return this.#keys.fingerprint;
  }

  /** The signed list of signing keys. */
  get keys(): SignedKeyList {
    return this.#keys.keyList;
  }

  /** What the NATS server and our own connections need, with the revocations of now. */
  async natsJwts(): Promise<NatsJwts> {
    return await natsJwts(this.#keys.nats, await this.#revocations());
  }

  async createJoinToken(request: JoinTokenRequest): Promise<MadeToken> {
    const { db, clock, random } = this.#devices;
    const fingerprint = this.rootFingerprint;
    return await createJoinToken({ db, clock, random, fingerprint }, request);
  }

  /** Idempotent by device key; errors as `enrolDevice`. */
  async enrol(request: EnrolRequest): Promise<EnrolReply> {
    const agent = await enrolDevice(this.#devices, request);
    const approved = agent.status === 'approved';
    return {
      v: PROTOCOL_VERSION,
      agent: agent.id,
      name: agent.name,
      labels: JSON.parse(agent.labels) as Labels,
      approved,
      rootKey: this.#keys.rootKey,
      keys: this.keys,
      credentials: approved ? await issueCredentials(this.#devices, agent) : null,
      heartbeatIntervalMs: this.#options.heartbeatIntervalMs,
    };
  }

  renewNonce(): string {
    return renewNonce(this.#devices);
  }

  /** For credentials that may have expired; errors as `checkRenewal`. */
  async renew(request: RenewRequest): Promise<RenewReply> {
    return await this.#renewed(await checkRenewal(this.#devices, request));
  }

  /** The connection proved the key. Errors: `agent_unknown`, `agent_revoked`, `agent_pending`. */
  async renewOverNats(agent: string): Promise<RenewReply> {
    return await this.#renewed(await approvedAgent(this.#devices.db, agent));
  }

  /** Errors: `agent_unknown`, `agent_not_pending`. */
  async approve(agent: string): Promise<void> {
    await approveDevice(this.#devices, agent);
  }

  /**
   * Refuses the device from now on and cuts its connection; doing it again pushes again. `cut` is
   * false when NATS could not be told yet, which happens when it is back. Error: `agent_unknown`.
   */
  async revoke(agent: string): Promise<{ readonly cut: boolean }> {
    await revokeDevice(this.#devices, agent);
    return { cut: await this.syncAccount() };
  }

  /** Pushes the account with the revocations of now; true when the NATS server has it. */
  async syncAccount(): Promise<boolean> {
    const turn = this.#pushes.then(async () => {
      const jwt = await accountJwt(this.#keys.nats, await this.#revocations());
      await this.#options.pushAccount(jwt);
    });
    this.#pushes = turn.catch((error: unknown) => {
      this.#options.log.error(
        { error: messageOf(error) },
        'NATS was not told of a revocation yet; it will be when it is connected',
      );
    });
    return await turn.then(
      () => true,
      () => false,
    );
  }

  /** Signs the exact text of a desired document, or of the manifest of archives. */
  signDesired(payload: string): SignedDesired {
    return this.#keys.signDesired(payload);
  }

  async createApiToken(request: ApiTokenRequest): Promise<MadeToken> {
    return await createApiToken(this.#devices, request);
  }

  async verifyBearer(token: string): Promise<Person | undefined> {
    return await verifyBearer(this.#devices, token);
  }

  async createSignInLink(role: Role, tokenId: string | null = null) {
    return await createSignInLink(this.#devices, role, tokenId);
  }

  async redeemSignInLink(code: string) {
    return await redeemSignInLink(this.#devices, code);
  }

  async verifySession(secret: string): Promise<Person | undefined> {
    return await verifySession(this.#devices, secret);
  }

  async endSession(secret: string): Promise<void> {
    await endSession(this.#devices, secret);
  }

  /** At the first start writes an admin token to `path` (0600) and returns it. */
  async ensureAdminToken(path: string): Promise<string | undefined> {
    return await ensureAdminToken(this.#devices, path);
  }

  async #renewed(agent: AgentRow): Promise<RenewReply> {
    const credentials = await issueCredentials(this.#devices, agent);
    return { v: PROTOCOL_VERSION, keys: this.keys, credentials };
  }

  async #revocations() {
    return await currentRevocations(this.#devices.db, this.#options.clock.now());
  }
}
