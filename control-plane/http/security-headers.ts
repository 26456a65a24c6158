/**
 * Headers of every answer. The page loads nothing from another host and can be framed by nobody;
 * API answers are never kept by a cache.
 */
import type { MiddlewareHandler } from 'hono';
import { type Random } from '@runnel/shared/random.ts';
import { randomId } from '@runnel/shared/ids.ts';
import type { HttpEnv } from './http-env.ts';

/** `connect-src 'self'` covers the websocket of the same origin in today's browsers. */
const POLICY = [
  "default-src 'self'",
  "base-uri 'none'",
  "object-src 'none'",
  "frame-ancestors 'none'",
  "form-action 'self'",
  "img-src 'self' data:",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
].join('; ');

const REQUEST_ID = /^[A-Za-z0-9_.-]{1,64}$/;

/** Keeps a caller's `X-Request-Id` when it is harmless, else draws one. */
export function securityHeaders(random: Random): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const given = c.req.header('x-request-id');
    const id = given !== undefined && REQUEST_ID.test(given) ? given : randomId(random, 12);
    c.set('requestId', id);
    await next();
    if (c.res.status === 101) return;
    const headers = c.res.headers;
    headers.set('x-request-id', id);
    headers.set('content-security-policy', POLICY);
    headers.set('x-content-type-options', 'nosniff');
    headers.set('referrer-policy', 'no-referrer');
    headers.set('cross-origin-opener-policy', 'same-origin');
    headers.set('cross-origin-resource-policy', 'same-origin');
    headers.set('x-frame-options', 'DENY');
    if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  };
}
