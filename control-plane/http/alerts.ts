/** `/api/v1/alerts` and `/api/v1/silences`: what is wrong, and what people make of it. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Kysely } from 'kysely';
import type { AlertEvent } from '../alerts/alert-state.ts';
import type { Alerting } from '../alerts/alerting.ts';
import { alertItem } from '../alerts/receivers/message.ts';
import { alertById, pageAlerts } from '../store/alerts.ts';
import { appendAudit } from '../store/audit.ts';
import type { Schema } from '../store/schema.ts';
import { ALERT_SOURCES, ALERT_STATES, type AlertItem } from './alert-messages.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { alertSchema, alertSeverity, silenceSchema } from './schemas/alert-schemas.ts';
import { cursorParam, json, limitParam, parseCursor, problems } from './schemas/common-schemas.ts';

export interface AlertRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly alerting: Pick<Alerting, 'book' | 'silences' | 'poke'>;
  readonly fleet: Pick<FleetView, 'find'>;
  readonly guards: RoleGuards;
}

const idParam = z.object({ id: z.string().min(1).max(64) });

export function alertRoutes(parts: AlertRoutesParts): Router {
  const router = newRouter();
  addReads(router, parts);
  for (const action of ['acknowledge', 'unacknowledge', 'resolve'] as const) {
    addAction(router, parts, action);
  }
  addSilences(router, parts);
  return router;
}

function addReads(router: Router, parts: AlertRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/alerts',
    tags: ['alerts'],
    summary: 'Alerts, those that began last at the head',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        state: z
          .enum([...ALERT_STATES, 'open'])
          .optional()
          .openapi({
            description: '`open` is every state but `resolved`.',
          }),
        severity: alertSeverity.optional(),
        source: z.enum(ALERT_SOURCES).optional(),
        job: z.string().max(63).optional(),
        agent: z.string().min(1).max(128).optional().openapi({ description: 'Id or name.' }),
        limit: limitParam(1000, 100),
        after: cursorParam,
      }),
    },
    responses: {
      200: json(
        z.object({
          items: z.array(alertSchema).readonly(),
          next: z.string().nullable().openapi({ description: 'Null at the end.' }),
        }),
        'Alerts',
      ),
      ...problems,
    },
  });
  router.openapi(list, async (c) => {
    const { state, severity, source, job, agent, limit, after } = c.req.valid('query');
    const before = parseCursor(after);
    const { items, next } = await pageAlerts(parts.db, {
      limit,
      ...(state === undefined ? {} : state === 'open' ? { open: true } : { state }),
      ...(severity === undefined ? {} : { severity }),
      ...(source === undefined ? {} : { source }),
      ...(job === undefined ? {} : { job }),
      // A name stands for its id; what is unknown is taken as one, since alerts outlive agents.
      ...(agent === undefined ? {} : { agent: parts.fleet.find(agent)?.id ?? agent }),
      ...(before === undefined ? {} : { before }),
    });
    const body = { items: items.map(alertItem), next: next === null ? null : String(next) };
    return c.json(body, 200);
  });

  const one = createRoute({
    method: 'get',
    path: '/alerts/{id}',
    tags: ['alerts'],
    summary: 'One alert',
    middleware: parts.guards.viewer,
    request: { params: idParam },
    responses: { 200: json(alertSchema, 'The alert'), ...problems },
  });
  router.openapi(one, async (c) => c.json(await read(parts, c.req.valid('param').id), 200));
}

async function read({ db }: AlertRoutesParts, id: string): Promise<AlertItem> {
  const record = await alertById(db, id);
  if (record === undefined) throw notFound('alert', id);
  return alertItem(record);
}

type Action = 'acknowledge' | 'unacknowledge' | 'resolve';

const SUMMARIES: Readonly<Record<Action, string>> = {
  acknowledge: 'Somebody sees to it: it is not told again until it ends or gets worse',
  unacknowledge: 'Nobody sees to it any more',
  resolve: 'Take it for over; while it is still wrong, it comes again',
};

function addAction(router: Router, parts: AlertRoutesParts, action: Action): void {
  const route = createRoute({
    method: 'post',
    path: `/alerts/{id}/${action}`,
    tags: ['alerts'],
    summary: SUMMARIES[action],
    middleware: parts.guards.operator,
    request: { params: idParam },
    responses: { 200: json(alertSchema, 'The alert'), ...problems },
  });
  router.openapi(route, async (c) => {
    const { id } = c.req.valid('param');
    const actor = actorOf(c).id;
    await read(parts, id);
    const event: AlertEvent =
      action === 'acknowledge' ? { kind: action, by: actor } : { kind: action };
    const at = parts.clock.now();
    const changes = await parts.alerting.book.commit(
      (draft) => {
        const changed = draft.change(id, event);
        if (changed !== undefined && changed.change !== 'refused') return;
        throw new RunnelError('alert_conflict', `alert ${id} is resolved`, {
          hint: 'runnel alerts --state open lists those that are not',
        });
      },
      async (transaction) => {
        await appendAudit(transaction, { at, actor, action: `alert.${action}`, subject: id });
      },
    );
    if (changes.length > 0) parts.alerting.poke();
    return c.json(await read(parts, id), 200);
  });
}

function addSilences(router: Router, parts: AlertRoutesParts): void {
  const { silences } = parts.alerting;
  const list = createRoute({
    method: 'get',
    path: '/silences',
    tags: ['alerts'],
    summary: 'Silences that have not ended, the one that ends first at the head',
    middleware: parts.guards.viewer,
    responses: { 200: json(z.object({ items: z.array(silenceSchema) }), 'Silences'), ...problems },
  });
  router.openapi(list, (c) => c.json({ items: silences.list() }, 200));

  const add = createRoute({
    method: 'post',
    path: '/silences',
    tags: ['alerts'],
    summary: 'Hold alerts back whose labels match, until a time',
    middleware: parts.guards.operator,
    request: {
      body: {
        required: true,
        content: {
          'application/json': {
            schema: z.strictObject({
              selector: z.string().max(2048).openapi({ example: 'site=lyon, source=device' }),
              from: z.number().int().optional().openapi({ description: 'Default: now.' }),
              until: z.number().int(),
              comment: z.string().max(500).default(''),
            }),
          },
        },
      },
    },
    responses: { 201: json(silenceSchema, 'The silence'), ...problems },
  });
  router.openapi(add, async (c) => {
    const { from, ...asked } = c.req.valid('json');
    const actor = actorOf(c).id;
    const at = parts.clock.now();
    const silence = await silences.add({ ...asked, from: from ?? at, by: actor });
    const { id, selector, until, comment } = silence;
    const data = { selector, until, comment };
    await appendAudit(parts.db, { at, actor, action: 'silence.create', subject: id, data });
    parts.alerting.poke();
    return c.json(silence, 201);
  });

  const remove = createRoute({
    method: 'delete',
    path: '/silences/{id}',
    tags: ['alerts'],
    summary: 'End a silence now',
    middleware: parts.guards.operator,
    request: { params: idParam },
    responses: { 204: { description: 'Ended' }, ...problems },
  });
  router.openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    if (!(await silences.remove(id))) throw notFound('silence', id);
    const at = parts.clock.now();
    await appendAudit(parts.db, { at, actor: actorOf(c).id, action: 'silence.end', subject: id });
    parts.alerting.poke();
    return c.body(null, 204);
  });
}
