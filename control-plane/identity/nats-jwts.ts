/**
 * NATS credentials (DESIGN.md §10). The account's scoped signing key carries the template of what
 * a device may do; a device's own JWT carries no permissions at all, only its name, which is the
 * agent id that the template inserts. So no mistake when issuing one can widen it.
 *
 * Devices have no JetStream, no wildcard, no reply permission; the account has no JetStream either.
 * Revoked keys are listed in the account's JWT, which the full resolver keeps.
 */
import { encodeAccount, encodeOperator, encodeUser, newScopedSigner } from '@nats-io/jwt';
import type { KeyPair } from '@nats-io/nkeys';
import { limits } from '@runnel/shared/limits.ts';
import type { NatsKeys } from './key-ring.ts';

/** One set of credentials for a connection. */
export interface UserCredentials {
  readonly jwt: string;
  readonly seed: string;
}

/** What a NATS server and the control plane's own connections need. */
export interface NatsJwts {
  readonly operator: string;
  readonly systemAccount: { readonly publicKey: string; readonly jwt: string };
  readonly account: { readonly publicKey: string; readonly jwt: string };
  /** Pushes accounts to the resolver. */
  readonly systemUser: UserCredentials;
  /** The control plane itself. */
  readonly controlUser: UserCredentials;
}

/** Public key → epoch seconds; a JWT issued at or before is refused. */
export type Revocations = Readonly<Record<string, number>>;

const ACCOUNT_LIMITS = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: 0,
};

/** `{{name()}}` is the JWT's name: the agent id. A template must be a whole token. */
const DEVICE_TEMPLATE = {
  pub: { allow: ['fleet.{{name()}}.hb', 'cp.{{name()}}.>'], deny: [] },
  sub: { allow: ['fleet.{{name()}}.cmd.>', '_INBOX.{{name()}}.>'], deny: [] },
  // A device opens two subscriptions; this leaves room and bounds a hostile one.
  subs: 32,
  data: -1,
  payload: limits.natsPayloadBytesMax,
  bearer_token: false,
  allowed_connection_types: ['STANDARD', 'WEBSOCKET'] as ('STANDARD' | 'WEBSOCKET')[],
};

const CONTROL_PERMISSIONS = {
  pub: { allow: ['fleet.*.cmd.>', '_INBOX.>'], deny: [] },
  sub: { allow: ['fleet.*.hb', 'cp.*.*', '_INBOX.>'], deny: [] },
};

export async function accountJwt(keys: NatsKeys, revocations: Revocations): Promise<string> {
  return await encodeAccount(
    'runnel',
    keys.account,
    {
      limits: ACCOUNT_LIMITS,
      signing_keys: [newScopedSigner(keys.deviceSigner, 'device', DEVICE_TEMPLATE)],
      revocations: { ...revocations },
    },
    { signer: keys.operator },
  );
}

export async function natsJwts(keys: NatsKeys, revocations: Revocations): Promise<NatsJwts> {
  const systemAccount = keys.systemAccount.getPublicKey();
  const system = await encodeAccount(
    'system',
    keys.systemAccount,
    { limits: ACCOUNT_LIMITS },
    { signer: keys.operator },
  );
  return {
    operator: await encodeOperator('runnel', keys.operator, { system_account: systemAccount }),
    systemAccount: { publicKey: systemAccount, jwt: system },
    account: {
      publicKey: keys.account.getPublicKey(),
      jwt: await accountJwt(keys, revocations),
    },
    systemUser: {
      jwt: await encodeUser('system', keys.systemUser, keys.systemAccount),
      seed: seedOf(keys.systemUser),
    },
    controlUser: {
      jwt: await encodeUser('control-plane', keys.controlUser, keys.account, CONTROL_PERMISSIONS),
      seed: seedOf(keys.controlUser),
    },
  };
}

/** Credentials of one device: its own public key, its agent id as the name, an end. */
export async function deviceJwt(
  keys: NatsKeys,
  device: { readonly agent: string; readonly publicKey: string; readonly expiresAt: number },
): Promise<string> {
  return await encodeUser(
    device.agent,
    device.publicKey,
    keys.account,
    {},
    {
      signer: keys.deviceSigner,
      scopedUser: true,
      exp: Math.floor(device.expiresAt / 1000),
    },
  );
}

function seedOf(pair: KeyPair): string {
  return Buffer.from(pair.getSeed()).toString('utf8');
}
