/** What every request carries through the middleware. */
import type { HttpBindings } from '@hono/node-server';
import type { Actor } from './authenticate.ts';

export interface HttpEnv {
  /** Absent when a test calls the app without a socket. */
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    /** Absent when the request proves nobody. */
    actor: Actor | undefined;
  };
}
