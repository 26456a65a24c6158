/** How every resource makes its router, so that bad parameters are answered alike everywhere. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { z } from 'zod';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Actor } from './authenticate.ts';
import type { HttpEnv } from './http-env.ts';

export type Router = OpenAPIHono<HttpEnv>;

/** Parameters and JSON bodies that do not match their schema: `request_invalid`. */
export function newRouter(): Router {
  return new OpenAPIHono<HttpEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      const where = result.target === 'json' ? 'body' : result.target;
      throw new RunnelError('request_invalid', `${where}: ${z.prettifyError(result.error)}`);
    },
  });
}

/** The actor of a route behind `requireRole`. */
export function actorOf(c: Context<HttpEnv>): Actor {
  const actor = c.get('actor');
  if (actor === undefined) throw new RunnelError('unauthenticated', 'nobody is signed in');
  return actor;
}

/** The client's address, for rate limits and the log; never for trust. */
export function addressOf(c: Context<HttpEnv>): string {
  // A test that calls the app without a socket has no bindings at all.
  const env = c.env as HttpEnv['Bindings'] | undefined;
  return env?.incoming?.socket.remoteAddress ?? 'unknown';
}
