/**
 * The configuration of a NATS server that carries a fleet: operator mode, full resolver (the
 * memory resolver does not cut live connections on revocation), no JetStream, no anonymous user.
 *
 * Used for the embedded server, and printed for a server that is run by others.
 */
import { limits } from '@runnel/shared/limits.ts';

/** Accounts and operator as JWTs; `NatsJwts` of identity/ has this shape. */
export interface ServerJwts {
  readonly operator: string;
  readonly systemAccount: { readonly publicKey: string; readonly jwt: string };
  readonly account: { readonly publicKey: string; readonly jwt: string };
}

export interface NatsTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile?: string;
}

export interface NatsConfigOptions {
  readonly jwts: ServerJwts;
  /** `127.0.0.1:4222` */
  readonly listen: { readonly host: string; readonly port: number };
  /** A directory of the server's own for account JWTs. */
  readonly resolverDir: string;
  readonly tls?: NatsTls;
  /** Loopback only; none unless asked for. */
  readonly monitorPort?: number;
  readonly pidFile?: string;
  readonly serverName?: string;
}

/** Text of a configuration file; every string in it is quoted. */
export function natsConfigFor(options: NatsConfigOptions): string {
  const { jwts, listen, tls } = options;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  const resolverDir = quote(options.resolverDir);
  const lines = [
    `server_name: ${quote(options.serverName ?? 'runnel')}`,
    `listen: ${quote(`${host}:${listen.port}`)}`,
    `max_payload: ${limits.natsPayloadBytesMax}`,
    // A silent device is noticed within a minute; heartbeats are judged by the control plane.
    'ping_interval: "20s"',
    'ping_max: 2',
    'write_deadline: "10s"',
    `operator: ${quote(jwts.operator)}`,
    `system_account: ${quote(jwts.systemAccount.publicKey)}`,
    `resolver: { type: full, dir: ${resolverDir}, allow_delete: false, limit: 1000 }`,
    'resolver_preload: {',
    `  ${jwts.systemAccount.publicKey}: ${quote(jwts.systemAccount.jwt)}`,
    `  ${jwts.account.publicKey}: ${quote(jwts.account.jwt)}`,
    '}',
  ];
  if (options.pidFile !== undefined) lines.push(`pid_file: ${quote(options.pidFile)}`);
  if (options.monitorPort !== undefined) lines.push(`http: "127.0.0.1:${options.monitorPort}"`);
  if (tls !== undefined) {
    lines.push(
      'tls: {',
      `  cert_file: ${quote(tls.certFile)}`,
      `  key_file: ${quote(tls.keyFile)}`,
    );
    if (tls.caFile !== undefined) lines.push(`  ca_file: ${quote(tls.caFile)}`);
    lines.push('  timeout: 10', '}');
  }
  return `${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
