/** `/api/v1/events` and `/api/v1/audit`: what happened, and who changed what. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Kysely } from 'kysely';
import { pageAudit } from '../store/audit.ts';
import { pageEvents } from '../store/events.ts';
import type { Schema } from '../store/schema.ts';
import type { RoleGuards } from './role-guards.ts';
import { newRouter, type Router } from './router.ts';
import { cursorParam, json, limitParam, parseCursor, problems } from './schemas/common-schemas.ts';
import { auditSchema, eventListSchema, eventPage } from './schemas/event-schemas.ts';

export interface EventRoutesParts {
  readonly db: Kysely<Schema>;
  readonly guards: RoleGuards;
}

export function eventRoutes(parts: EventRoutesParts): Router {
  const router = newRouter();
  const events = createRoute({
    method: 'get',
    path: '/events',
    tags: ['events'],
    summary: 'What happened in the fleet: the newest first, or forward from `after`',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        agent: z.string().max(128).optional().openapi({ description: 'An id.' }),
        job: z.string().max(63).optional(),
        type: z.string().max(64).optional(),
        limit: limitParam(1000, 100),
        after: cursorParam,
      }),
    },
    responses: { 200: json(eventListSchema, 'Events'), ...problems },
  });
  router.openapi(events, async (c) => {
    const { agent, job, type, limit, after } = c.req.valid('query');
    const cursor = parseCursor(after);
    const records = await pageEvents(parts.db, {
      limit,
      ...(agent === undefined ? {} : { agent }),
      ...(job === undefined ? {} : { job }),
      ...(type === undefined ? {} : { type }),
      ...(cursor === undefined ? {} : { after: cursor }),
    });
    return c.json(eventPage(records, cursor), 200);
  });

  const audit = createRoute({
    method: 'get',
    path: '/audit',
    tags: ['events'],
    summary: 'Who changed what, newest first',
    middleware: parts.guards.admin,
    request: { query: z.object({ limit: limitParam(1000, 100), before: cursorParam }) },
    responses: {
      200: json(z.object({ items: z.array(auditSchema).readonly() }), 'Audit rows'),
      ...problems,
    },
  });
  router.openapi(audit, async (c) => {
    const { limit, before } = c.req.valid('query');
    const cursor = parseCursor(before);
    const page = { limit, ...(cursor === undefined ? {} : { before: cursor }) };
    return c.json({ items: await pageAudit(parts.db, page) }, 200);
  });
  return router;
}
