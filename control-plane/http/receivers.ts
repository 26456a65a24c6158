/** `/api/v1/receivers` and `/api/v1/notifications`: who is told of alerts, and what was sent. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import { NAME } from '@runnel/shared/ids.ts';
import type { Kysely } from 'kysely';
import type { Alerting } from '../alerts/alerting.ts';
import { maskedSettings } from '../alerts/receivers/exposed.ts';
import { appendAudit } from '../store/audit.ts';
import { pageNotifications } from '../store/notifications.ts';
import type { Schema } from '../store/schema.ts';
import type { ReceiverItem } from './alert-messages.ts';
import type { Actor } from './authenticate.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import {
  alertSeverity,
  notificationSchema,
  receiverKind,
  receiverSchema,
} from './schemas/alert-schemas.ts';
import { cursorParam, json, limitParam, parseCursor, problems } from './schemas/common-schemas.ts';

export interface ReceiverRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly alerting: Pick<Alerting, 'receivers' | 'notifier' | 'poke'>;
  readonly guards: RoleGuards;
}

const nameParam = z.object({ name: z.string().regex(NAME).openapi({ example: 'on-call' }) });

export function receiverRoutes(parts: ReceiverRoutesParts): Router {
  const router = newRouter();
  addReads(router, parts);
  addPut(router, parts);
  addDelete(router, parts);
  addTest(router, parts);
  addNotifications(router, parts);
  return router;
}

function addReads(router: Router, { alerting, guards }: ReceiverRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/receivers',
    tags: ['alerts'],
    summary: 'Receivers of notifications, without their secrets',
    middleware: guards.viewer,
    responses: {
      200: json(z.object({ items: z.array(receiverSchema) }), 'Receivers'),
      ...problems,
    },
  });
  router.openapi(list, (c) => {
    const items = alerting.receivers.list().map((item) => shownTo(actorOf(c), item));
    return c.json({ items }, 200);
  });

  const one = createRoute({
    method: 'get',
    path: '/receivers/{name}',
    tags: ['alerts'],
    summary: 'One receiver, without its secrets',
    middleware: guards.viewer,
    request: { params: nameParam },
    responses: { 200: json(receiverSchema, 'The receiver'), ...problems },
  });
  router.openapi(one, (c) => {
    const { name } = c.req.valid('param');
    const receiver = alerting.receivers.get(name);
    if (receiver === undefined) throw notFound('receiver', name);
    return c.json(shownTo(actorOf(c), receiver), 200);
  });
}

/** Headers may hold what only those should read who may set them. */
function shownTo({ role }: Actor, item: ReceiverItem): ReceiverItem {
  return role === 'admin' ? item : { ...item, settings: maskedSettings(item.settings) };
}

function addPut(router: Router, parts: ReceiverRoutesParts): void {
  const { alerting, db, clock, guards } = parts;
  const put = createRoute({
    method: 'put',
    path: '/receivers/{name}',
    tags: ['alerts'],
    summary: 'Add a receiver or replace it',
    description:
      'A secret is a text, `{"env": "RUNNEL_SECRET_…"}`, or `{"file": "NAME"}` for a file in ' +
      '`secrets/` of the data directory. Secrets that are not named stay as they are; null takes ' +
      'one away. With another host in its address only those stay that are named. With ' +
      '`If-None-Match: *` it takes the place of none: 409 where there is one of this name.',
    middleware: guards.admin,
    request: {
      params: nameParam,
      body: {
        required: true,
        content: {
          'application/json': {
            schema: z.strictObject({
              kind: receiverKind,
              selector: z.string().max(2048).default(''),
              severity: alertSeverity.default('warning'),
              sendResolved: z.boolean().default(true),
              settings: z.record(z.string(), z.unknown()).default({}),
              secrets: z.record(z.string(), z.unknown()).default({}),
            }),
          },
        },
      },
    },
    responses: { 200: json(receiverSchema, 'The receiver'), ...problems },
  });
  router.openapi(put, async (c) => {
    const { name } = c.req.valid('param');
    const receiver = await alerting.receivers.put(name, c.req.valid('json'), {
      isNew: c.req.header('if-none-match') === '*',
    });
    const { kind, selector, severity } = receiver;
    const data = { kind, selector, severity };
    const actor = actorOf(c).id;
    const at = clock.now();
    await appendAudit(db, { at, actor, action: 'receiver.set', subject: name, data });
    alerting.notifier.receiverChanged(name);
    alerting.poke();
    return c.json(receiver, 200);
  });
}

function addDelete(router: Router, { alerting, db, clock, guards }: ReceiverRoutesParts): void {
  const remove = createRoute({
    method: 'delete',
    path: '/receivers/{name}',
    tags: ['alerts'],
    summary: 'Tell a receiver nothing more; the log stays',
    middleware: guards.admin,
    request: { params: nameParam },
    responses: { 204: { description: 'Deleted' }, ...problems },
  });
  router.openapi(remove, async (c) => {
    const { name } = c.req.valid('param');
    if (!(await alerting.receivers.delete(name))) throw notFound('receiver', name);
    alerting.notifier.receiverChanged(name);
    const actor = actorOf(c).id;
    await appendAudit(db, { at: clock.now(), actor, action: 'receiver.delete', subject: name });
    return c.body(null, 204);
  });
}

function addTest(router: Router, { alerting, db, clock, guards }: ReceiverRoutesParts): void {
  const test = createRoute({
    method: 'post',
    path: '/receivers/{name}/test',
    tags: ['alerts'],
    summary: 'Send a test and say what came of it',
    middleware: guards.admin,
    request: { params: nameParam },
    responses: { 200: json(notificationSchema, 'Whether it was taken'), ...problems },
  });
  router.openapi(test, async (c) => {
    const { name } = c.req.valid('param');
    if (alerting.receivers.get(name) === undefined) throw notFound('receiver', name);
    const item = await alerting.notifier.test(name);
    const actor = actorOf(c).id;
    await appendAudit(db, { at: clock.now(), actor, action: 'receiver.test', subject: name });
    return c.json(item, 200);
  });
}

function addNotifications(router: Router, { db, guards }: ReceiverRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/notifications',
    tags: ['alerts'],
    summary: 'What receivers were sent, newest first',
    middleware: guards.viewer,
    request: {
      query: z.object({
        receiver: z.string().max(63).optional(),
        limit: limitParam(1000, 100),
        after: cursorParam,
      }),
    },
    responses: {
      200: json(
        z.object({
          items: z.array(notificationSchema).readonly(),
          next: z.string().nullable().openapi({ description: 'Null at the end.' }),
        }),
        'Notifications',
      ),
      ...problems,
    },
  });
  router.openapi(list, async (c) => {
    const { receiver, limit, after } = c.req.valid('query');
    const before = parseCursor(after);
    const { items, next } = await pageNotifications(db, {
      limit,
      ...(receiver === undefined ? {} : { receiver }),
      ...(before === undefined ? {} : { before }),
    });
    return c.json({ items, next: next === null ? null : String(next) }, 200);
  });
}
