/**
 * Signing in with a one-time link, who is signed in, and signing out.
 *
 * The cookie is HttpOnly and SameSite=Strict, and Secure when the page is served over https.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Identity } from '../identity/identity.ts';
import type { Person } from '../identity/people.ts';
import { limitRate } from './enrol.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { RateLimit } from './rate-limit.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { json, problems } from './schemas/common-schemas.ts';

export interface SignInParts {
  readonly identity: Pick<Identity, 'redeemSignInLink' | 'endSession'>;
  readonly cookieName: string;
  readonly secureCookie: boolean;
  readonly now: () => number;
  readonly rateLimit: RateLimit;
  readonly metrics: HttpMetrics;
}

/** `GET /signin?code=…`, outside of the API. */
export function signInRoutes(parts: SignInParts): Router {
  const router = newRouter();
  router.get('/signin', async (c) => {
    limitRate(c, parts, 'signin');
    const code = c.req.query('code') ?? '';
    const session =
      code === '' ? undefined : await parts.identity.redeemSignInLink(code.slice(0, 512));
    if (session === undefined) {
      parts.metrics.refused.add(['sign_in_link']);
      return c.text(
        'This sign-in link was used already, or has expired.\n' +
          'Make a new one on the control plane: npx runnel-control sign-in-link --data DIR\n',
        403,
      );
    }
    setCookie(c, parts.cookieName, session.secret, {
      path: '/',
      httpOnly: true,
      sameSite: 'Strict',
      secure: parts.secureCookie,
      maxAge: Math.max(1, Math.floor((session.expiresAt - parts.now()) / 1000)),
    });
    return c.redirect('/', 303);
  });
  return router;
}

const meSchema = z
  .object({ id: z.string(), role: z.enum(['viewer', 'operator', 'admin']), name: z.string() })
  .openapi('Me') satisfies z.ZodType<Omit<Person, 'tokenId'>>;

/** `GET /api/v1/me`, `POST /api/v1/sign-out`. */
export function meRoutes(parts: SignInParts, guards: RoleGuards): Router {
  const router = newRouter();
  const me = createRoute({
    method: 'get',
    path: '/me',
    tags: ['tokens'],
    summary: 'Who asks',
    middleware: guards.viewer,
    responses: { 200: json(meSchema, 'The token or session'), ...problems },
  });
  router.openapi(me, (c) => {
    const { id, role, name } = actorOf(c);
    return c.json({ id, role, name }, 200);
  });

  const signOut = createRoute({
    method: 'post',
    path: '/sign-out',
    tags: ['tokens'],
    summary: 'End the session of this browser',
    middleware: guards.viewer,
    responses: { 204: { description: 'Signed out' }, ...problems },
  });
  router.openapi(signOut, async (c) => {
    const secret = getCookie(c, parts.cookieName);
    if (secret === undefined) {
      throw new RunnelError('request_invalid', 'there is no session to end', {
        hint: 'a bearer token is revoked with DELETE /api/v1/tokens/{id}',
      });
    }
    await parts.identity.endSession(secret);
    deleteCookie(c, parts.cookieName, { path: '/', secure: parts.secureCookie });
    return c.body(null, 204);
  });
  return router;
}
