/**
 * Who asks, and whether they may: a bearer token, or the page's session cookie.
 *
 * A cookie is sent by the browser whoever wrote the page, so what changes something by cookie must
 * come from our own origin: `Sec-Fetch-Site: same-origin`, or an `Origin` that is our own host.
 * SameSite=Strict already keeps other sites out; this holds where a browser does not know it, and
 * against other ports of the same host, which count as the same site.
 *
 * Roles include each other: admin ⊃ operator ⊃ viewer.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie } from 'hono/cookie';
import { RunnelError } from '@runnel/shared/errors.ts';
import { includesRole, type Person, type Role } from '../identity/people.ts';
import type { HttpEnv } from './http-env.ts';

/** Who was proved: `id` is `token:<id>` or `session:<id>`, which the audit log says. */
export type Actor = Person;

/** Proves who holds a secret; undefined when it proves nothing (wrong, expired, revoked). */
export interface Authenticator {
  bearer(token: string): Promise<Actor | undefined>;
  session(secret: string): Promise<Actor | undefined>;
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface AuthenticateOptions {
  readonly authenticator: Authenticator;
  readonly cookieName: string;
  /** Origins of the page beside the host that was asked for. */
  readonly origins: readonly string[];
  readonly failed: (reason: 'bearer' | 'session' | 'cross_site' | 'role') => void;
}

/** Sets `actor` when the request proves one; a wrong proof is refused at once. */
export function authenticate(options: AuthenticateOptions): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const actor = await actorOf(c, options);
    if (actor !== undefined) c.set('actor', actor);
    await next();
  };
}

async function actorOf(
  c: Context<HttpEnv>,
  options: AuthenticateOptions,
): Promise<Actor | undefined> {
  const header = c.req.header('authorization');
  if (header !== undefined) {
    const token = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(header)?.[1];
    const actor = token === undefined ? undefined : await options.authenticator.bearer(token);
    if (actor !== undefined) return actor;
    options.failed('bearer');
    throw new RunnelError('unauthenticated', 'the bearer token is wrong, expired or revoked', {
      hint: 'make a new one: runnel token create --role operator',
    });
  }
  const secret = getCookie(c, options.cookieName);
  if (secret === undefined) return undefined;
  const actor = await options.authenticator.session(secret);
  if (actor === undefined) {
    options.failed('session');
    return undefined;
  }
  const changes = !SAFE_METHODS.has(c.req.method) || c.req.header('upgrade') !== undefined;
  if (changes && !isOwnOrigin(c, options.origins)) {
    options.failed('cross_site');
    throw new RunnelError('cross_site', 'a change by cookie must come from the page itself', {
      hint: 'programs send a bearer token instead of a cookie',
    });
  }
  return actor;
}

function isOwnOrigin(c: Context<HttpEnv>, origins: readonly string[]): boolean {
  const site = c.req.header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin') return false;
  const origin = c.req.header('origin');
  if (origin === undefined) return site === 'same-origin';
  if (origins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === c.req.header('host');
}

/** Refuses who has not at least this role. */
export function requireRole(
  role: Role,
  failed: AuthenticateOptions['failed'],
): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const actor = c.get('actor');
    if (actor === undefined) {
      throw new RunnelError('unauthenticated', 'this needs a bearer token or a signed-in page', {
        hint: 'send "Authorization: Bearer …", or open a link of runnel-control sign-in-link',
      });
    }
    if (!includesRole(actor.role, role)) {
      failed('role');
      throw new RunnelError('forbidden', `this needs the role ${role}; yours is ${actor.role}`, {
        hint: `an admin makes a token for it: runnel token create --role ${role}`,
      });
    }
    await next();
  };
}
