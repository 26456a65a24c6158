/**
 * The HTTP application: every resource under `/api/v1`, its OpenAPI, health, metrics, the page.
 * Works without a socket (`app.request()`), except for the websocket.
 *
 * Order matters: ids and headers first (errors carry them too), then the body bound, then who
 * asks, then the resource.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { routePath } from 'hono/route';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Logger } from 'pino';
import { authenticate, type AuthenticateOptions } from './authenticate.ts';
import type { HttpEnv } from './http-env.ts';
import type { HttpMetrics } from './http-metrics.ts';
import { problemOf, problemResponse } from './problem.ts';
import type { Router } from './router.ts';
import { securityHeaders } from './security-headers.ts';
import { staticPages } from './static-pages.ts';

export interface AppParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: HttpMetrics;
  readonly authenticate: AuthenticateOptions;
  /** Mounted under `/api/v1`. */
  readonly api: readonly Router[];
  /** Mounted at the root. */
  readonly root: readonly Router[];
  readonly dashboardFolder: string;
  /** This release, for the OpenAPI document. */
  readonly version: string;
}

export type App = OpenAPIHono<HttpEnv>;

export function createApp(parts: AppParts): App {
  const app = new OpenAPIHono<HttpEnv>();
  app.use(securityHeaders(parts.random));
  addObservation(app, parts);
  app.onError((error, c) => {
    const requestId = c.get('requestId');
    const problem = problemOf(error, requestId);
    if (problem.status >= 500) parts.log.error({ err: error, requestId }, 'request failed');
    // The rest of a body that is too large is not read: the connection cannot be used again.
    const closing = problem.status === 413 ? { connection: 'close' } : {};
    return problemResponse(problem, { ...retryAfter(error), ...closing });
  });
  app.use(
    bodyLimit({
      maxSize: limits.httpBodyBytesMax,
      onError: () => {
        const bytes = limits.httpBodyBytesMax;
        throw new RunnelError('body_too_large', `the request body is larger than ${bytes} bytes`);
      },
    }),
  );
  app.use(authenticate(parts.authenticate));
  for (const router of parts.root) app.route('/', router);
  for (const router of parts.api) app.route('/api/v1', router);
  addDocument(app, parts.version);
  app.all('/api/*', (c) => {
    throw new RunnelError('not_found', `there is no ${c.req.method} ${c.req.path.slice(0, 200)}`, {
      hint: 'see /api/v1/openapi.json',
    });
  });
  app.use(staticPages(parts.dashboardFolder));
  app.notFound((c) =>
    problemResponse(
      problemOf(new RunnelError('not_found', `there is no ${c.req.path.slice(0, 200)}`)),
    ),
  );
  return app;
}

/** One log line and the metrics of each request. */
function addObservation(app: App, parts: AppParts): void {
  app.use(async (c, next) => {
    const began = parts.clock.monotonicMs();
    await next();
    const ms = parts.clock.monotonicMs() - began;
    const { method } = c.req;
    // The pattern, not the path: a label for each id would never end.
    const route = routePath(c);
    parts.metrics.requests.add([method, route, String(c.res.status)]);
    parts.metrics.seconds.add([method, route], ms / 1000);
    parts.log.debug(
      {
        requestId: c.get('requestId'),
        method,
        path: c.req.path,
        status: c.res.status,
        ms: Math.round(ms),
        actor: c.get('actor')?.id,
      },
      'request',
    );
  });
}

function addDocument(app: App, version: string): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
  });
  app.doc31('/api/v1/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'Runnel control plane',
      version,
      description: 'Times are epoch milliseconds. Errors are application/problem+json.',
      license: { name: 'Apache-2.0' },
    },
    security: [{ bearer: [] }],
  });
}

function retryAfter(error: unknown): Record<string, string> {
  if (!(error instanceof RunnelError)) return {};
  const { waitSeconds } = error.fields;
  return typeof waitSeconds === 'number' ? { 'retry-after': String(waitSeconds) } : {};
}
