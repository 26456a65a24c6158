/** `/api/v1/live`: the websocket of the hub, for viewers. */
import { upgradeWebSocket } from '@hono/node-server';
import type { WebSocket } from 'ws';
import type { LiveHub } from './live-hub.ts';
import type { RoleGuards } from './role-guards.ts';
import { newRouter, type Router } from './router.ts';

export interface LiveRouteParts {
  readonly hub: LiveHub;
  readonly guards: RoleGuards;
  /** Whether the token or session of this request still stands. */
  readonly stillAllowed: (request: Request) => Promise<boolean>;
  readonly failed: (error: unknown) => void;
}

export function liveRoutes(parts: LiveRouteParts): Router {
  const router = newRouter();
  router.get(
    '/live',
    parts.guards.viewer,
    upgradeWebSocket((c) => {
      let connection: ReturnType<LiveHub['connect']>;
      const request = c.req.raw;
      return {
        onOpen: (_event, ws) => {
          const raw = ws.raw as WebSocket;
          connection = parts.hub.connect({
            send: (text) => raw.send(text),
            close: (code, reason) => raw.close(code, reason),
            bufferedBytes: () => raw.bufferedAmount,
            stillAllowed: () => parts.stillAllowed(request),
          });
        },
        onMessage: (event) => {
          connection?.message(event.data).catch(parts.failed);
        },
        onClose: () => connection?.closed(),
        onError: () => connection?.closed(),
      };
    }),
  );
  router.openAPIRegistry.registerPath({
    method: 'get',
    path: '/live',
    tags: ['live'],
    summary: 'Websocket: a snapshot of the fleet, then at most one delta per second and view',
    responses: { 101: { description: 'Switching to websocket' } },
  });
  return router;
}
