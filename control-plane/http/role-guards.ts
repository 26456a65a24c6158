/** The three guards that routes name, made once. */
import type { MiddlewareHandler } from 'hono';
import { type AuthenticateOptions, requireRole } from './authenticate.ts';
import type { HttpEnv } from './http-env.ts';

export interface RoleGuards {
  readonly viewer: MiddlewareHandler<HttpEnv>;
  readonly operator: MiddlewareHandler<HttpEnv>;
  readonly admin: MiddlewareHandler<HttpEnv>;
}

export function roleGuards(failed: AuthenticateOptions['failed']): RoleGuards {
  return {
    viewer: requireRole('viewer', failed),
    operator: requireRole('operator', failed),
    admin: requireRole('admin', failed),
  };
}
