/**
 * `/api/v1/enroll` and `/api/v1/renew`: what a device asks before it has credentials. Its own key
 * and the join token are the proof, so there is no bearer; each address has a rate limit instead.
 */
import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { RunnelError } from '@runnel/shared/errors.ts';
import {
  enrolReply,
  enrolRequest,
  renewNonceReply,
  renewReply,
  renewRequest,
} from '@runnel/shared/protocol/enrolment.ts';
import { parseMessage, PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Identity } from '../identity/identity.ts';
import type { HttpEnv } from './http-env.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { RateLimit } from './rate-limit.ts';
import { addressOf, newRouter, type Router } from './router.ts';
import { json, problems } from './schemas/common-schemas.ts';

export interface EnrolRoutesParts {
  readonly identity: Pick<Identity, 'enrol' | 'renewNonce' | 'renew'>;
  /** A device was enrolled (again): bring views and desired state up to date. */
  readonly enrolled: (agent: string) => Promise<void>;
  readonly rateLimit: RateLimit;
  readonly metrics: HttpMetrics;
}

const body = <T extends z.ZodType>(schema: T) => ({
  required: true,
  content: { 'application/json': { schema } },
});

export function enrolRoutes(parts: EnrolRoutesParts): Router {
  const router = newRouter();
  const enrol = createRoute({
    method: 'post',
    path: '/enroll',
    tags: ['devices'],
    summary: 'Enrol a device; idempotent by device key',
    security: [],
    request: { body: body(z.unknown()) },
    responses: { 200: json(enrolReply, 'Identity and credentials'), ...problems },
  });
  router.openapi(enrol, async (c) => {
    limitRate(c, parts, 'enroll');
    const reply = await parts.identity.enrol(parseMessage(enrolRequest, c.req.valid('json')));
    await parts.enrolled(reply.agent);
    return c.json(reply, 200);
  });

  const nonce = createRoute({
    method: 'post',
    path: '/renew/nonce',
    tags: ['devices'],
    summary: 'A nonce to prove the device key on',
    security: [],
    responses: { 200: json(renewNonceReply, 'The nonce'), ...problems },
  });
  router.openapi(nonce, (c) => {
    limitRate(c, parts, 'renew');
    return c.json({ v: PROTOCOL_VERSION, nonce: parts.identity.renewNonce() } as const, 200);
  });

  const renew = createRoute({
    method: 'post',
    path: '/renew',
    tags: ['devices'],
    summary: 'Fresh credentials, also after they expired',
    security: [],
    request: { body: body(z.unknown()) },
    responses: { 200: json(renewReply, 'Credentials'), ...problems },
  });
  router.openapi(renew, async (c) => {
    limitRate(c, parts, 'renew');
    const reply = await parts.identity.renew(parseMessage(renewRequest, c.req.valid('json')));
    return c.json(reply, 200);
  });
  return router;
}

/** Errors: `rate_limited`. */
export function limitRate(
  c: Context<HttpEnv>,
  parts: Pick<EnrolRoutesParts, 'rateLimit' | 'metrics'>,
  route: string,
): void {
  const waitSeconds = parts.rateLimit.take(addressOf(c));
  if (waitSeconds === 0) return;
  parts.metrics.rateLimited.add([route]);
  throw new RunnelError('rate_limited', `too many requests; try again in ${waitSeconds} s`, {
    retry: 'backoff',
    fields: { waitSeconds },
  });
}
