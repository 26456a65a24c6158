/**
 * The configuration of a NATS server that carries a fleet: operator mode, full resolver (the
 * memory resolver does not cut live connections on revocation), no JetStream, no anonymous user.
 *
 * Used for the embedded server, and printed for a server that is run by others.
 */
import { limits } from '@runnel/shared/limits.ts';
import type { ListenAddress } from './listen-address.ts';

/** Accounts and operator as JWTs; `NatsJwts` of identity/ has this shape. */
export interface ServerJwts {
  readonly operator: string;
  readonly systemAccount: { readonly publicKey: string; readonly jwt: string };
  readonly account: { readonly publicKey: string; readonly jwt: string };
}

export interface NatsTls {
  readonly certFile: string;
  readonly keyFile: string;
  /** Private CA that signed the certificate; devices get it. Not asked of devices themselves. */
  readonly caFile?: string;
}

export interface NatsConfigOptions {
  readonly jwts: ServerJwts;
  readonly listen: ListenAddress;
  /** A directory of the server's own for account JWTs. */
  readonly resolverDir: string;
  readonly tls?: NatsTls;
}

/** Text of a configuration file; every string in it is quoted. */
export function natsConfigFor(options: NatsConfigOptions): string {
  const { jwts, listen, tls } = options;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  const resolverDir = quote(options.resolverDir);
  const lines = [
    'server_name: "runnel"',
    `listen: ${quote(`${host}:${listen.port}`)}`,
    `max_payload: ${limits.natsPayloadBytesMax}`,
    // A silent device is noticed within a minute; heartbeats are judged by the control plane.
    'ping_interval: "20s"',
    'ping_max: 2',
    'write_deadline: "10s"',
    // By default it gives a device two seconds to sign in: too few when a whole fleet comes back.
    'authorization: { timeout: 10 }',
    `operator: ${quote(jwts.operator)}`,
    `system_account: ${quote(jwts.systemAccount.publicKey)}`,
    `resolver: { type: full, dir: ${resolverDir}, allow_delete: false, limit: 1000 }`,
    'resolver_preload: {',
    `  ${jwts.systemAccount.publicKey}: ${quote(jwts.systemAccount.jwt)}`,
    `  ${jwts.account.publicKey}: ${quote(jwts.account.jwt)}`,
    '}',
  ];
  if (tls !== undefined) {
    lines.push(
      'tls: {',
      `  cert_file: ${quote(tls.certFile)}`,
      `  key_file: ${quote(tls.keyFile)}`,
    );
    lines.push('  timeout: 10', '}');
  }
  return `${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
