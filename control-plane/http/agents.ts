/** `/api/v1/agents`: the fleet, one device, its labels, approval, revocation. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { agentName, labels as labelsSchema } from '@runnel/shared/protocol/enrolment.ts';
import type { Kysely } from 'kysely';
import type { DesiredState } from '../rollouts/desired-state.ts';
import { parseSelector, selects } from '../rollouts/selector.ts';
import {
  type AgentRecord,
  deleteRevokedAgent,
  setAgentLabels,
  setAgentName,
} from '../store/agents.ts';
import { appendAudit } from '../store/audit.ts';
import { pageEvents } from '../store/events.ts';
import type { Identity } from '../identity/identity.ts';
import type { Schema } from '../store/schema.ts';
import type { Actor } from './authenticate.ts';
import { findAgent } from './find-agent.ts';
import { compare, type FleetView } from './fleet-view.ts';
import type { HostHistory } from './host-history.ts';
import type { RoleGuards } from './role-guards.ts';
import { notFound } from './problem.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import {
  agentDetailSchema,
  agentSchema,
  connectionSchema,
  hostPointSchema,
} from './schemas/agent-schemas.ts';
import {
  cursorParam,
  json,
  limitParam,
  parseCursor,
  parseSince,
  problems,
  sinceParam,
} from './schemas/common-schemas.ts';
import { eventListSchema, eventPage } from './schemas/event-schemas.ts';

export interface AgentRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly fleet: FleetView;
  readonly hosts: HostHistory;
  readonly desired: Pick<DesiredState, 'recompute' | 'forget'>;
  readonly identity: Pick<Identity, 'approve' | 'revoke'>;
  /** It was deleted: what is known of it goes. */
  readonly forget: (agent: string) => void;
  /** After an agent's row changed. */
  readonly agentChanged: (agent: string) => Promise<void>;
  readonly guards: RoleGuards;
}

const idParam = z.object({
  agent: z.string().min(1).max(128).openapi({ description: 'Id, or a name that only one has.' }),
});

export function agentRoutes(parts: AgentRoutesParts): Router {
  const router = newRouter();
  addList(router, parts);
  addOne(router, parts);
  addHistory(router, parts);
  addLabels(router, parts);
  addLifecycle(router, parts);
  return router;
}

function addList(router: Router, parts: AgentRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/agents',
    tags: ['agents'],
    summary: 'The fleet, by name',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        selector: z.string().max(2048).optional(),
        connection: connectionSchema.optional(),
        status: z.enum(['approved', 'pending', 'revoked']).optional(),
        limit: limitParam(10_000, 1000),
        after: z.string().max(512).optional(),
      }),
    },
    responses: {
      200: json(
        z.object({ items: z.array(agentSchema).readonly(), next: z.string().nullable() }),
        'A page; `next` is null on the last one',
      ),
      ...problems,
    },
  });
  router.openapi(list, (c) => {
    const query = c.req.valid('query');
    const selector = parseSelector(query.selector ?? '');
    const after = query.after === undefined ? undefined : parsePosition(query.after);
    const items = [];
    let next: string | null = null;
    for (const record of parts.fleet.agents()) {
      if (after !== undefined && !isAfter(record, after)) continue;
      if (query.status !== undefined && record.status !== query.status) continue;
      if (!selects(selector, parts.fleet.placeable(record))) continue;
      const item = parts.fleet.itemOf(record);
      if (query.connection !== undefined && item.connection !== query.connection) continue;
      if (items.length === query.limit) {
        next = positionOf(items.at(-1)!);
        break;
      }
      items.push(item);
    }
    return c.json({ items, next }, 200);
  });
}

function addOne(router: Router, parts: AgentRoutesParts): void {
  const one = createRoute({
    method: 'get',
    path: '/agents/{agent}',
    tags: ['agents'],
    summary: 'One device with its conditions, jobs and counters',
    middleware: parts.guards.viewer,
    request: { params: idParam },
    responses: { 200: json(agentDetailSchema, 'The device'), ...problems },
  });
  router.openapi(one, (c) => {
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    const detail = parts.fleet.detail(record.id);
    if (detail === undefined) throw notFound('agent', record.id);
    return c.json(detail, 200);
  });
}

function addHistory(router: Router, parts: AgentRoutesParts): void {
  const events = createRoute({
    method: 'get',
    path: '/agents/{agent}/events',
    tags: ['agents'],
    summary: 'What happened to a device, newest first unless `after` is given',
    middleware: parts.guards.viewer,
    request: {
      params: idParam,
      query: z.object({ limit: limitParam(1000, 100), after: cursorParam }),
    },
    responses: { 200: json(eventListSchema, 'Events'), ...problems },
  });
  router.openapi(events, async (c) => {
    const { limit, after } = c.req.valid('query');
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    const cursor = parseCursor(after);
    const page = { agent: record.id, limit, ...(cursor === undefined ? {} : { after: cursor }) };
    return c.json(eventPage(await pageEvents(parts.db, page), cursor), 200);
  });

  const host = createRoute({
    method: 'get',
    path: '/agents/{agent}/host',
    tags: ['agents'],
    summary: 'Readings of the device itself over the last hour at most, oldest first',
    middleware: parts.guards.viewer,
    request: { params: idParam, query: z.object({ since: sinceParam }) },
    responses: {
      200: json(z.object({ items: z.array(hostPointSchema).readonly() }), 'Readings'),
      ...problems,
    },
  });
  router.openapi(host, (c) => {
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    const since = parseSince(c.req.valid('query').since);
    return c.json({ items: parts.hosts.points(record.id, since) }, 200);
  });
}

function addLabels(router: Router, parts: AgentRoutesParts): void {
  const patch = createRoute({
    method: 'patch',
    path: '/agents/{agent}',
    tags: ['agents'],
    summary: 'Change labels (null removes one) or the name',
    middleware: parts.guards.operator,
    request: {
      params: idParam,
      body: {
        required: true,
        content: {
          'application/json': {
            schema: z.strictObject({
              labels: z.record(z.string(), z.string().nullable()).optional(),
              name: agentName.optional(),
            }),
          },
        },
      },
    },
    responses: { 200: json(agentDetailSchema, 'The device'), ...problems },
  });
  router.openapi(patch, async (c) => {
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    const change = c.req.valid('json');
    if (change.labels !== undefined) {
      await setAgentLabels(parts.db, record.id, mergedLabels(record, change.labels));
    }
    if (change.name !== undefined && change.name !== record.name) {
      refuseTakenName(parts, record, change.name);
      await setAgentName(parts.db, record.id, change.name);
    }
    await audit(parts, actorOf(c), 'agent.update', record.id, change);
    await parts.agentChanged(record.id);
    await parts.desired.recompute(record.id);
    const detail = parts.fleet.detail(record.id);
    if (detail === undefined) throw notFound('agent', record.id);
    return c.json(detail, 200);
  });
}

function addLifecycle(router: Router, parts: AgentRoutesParts): void {
  const step = (path: 'approve' | 'revoke', summary: string) =>
    createRoute({
      method: 'post',
      path: `/agents/{agent}/${path}`,
      tags: ['agents'],
      summary,
      middleware: parts.guards.operator,
      request: { params: idParam },
      responses: { 200: json(agentDetailSchema, 'The device'), ...problems },
    });
  router.openapi(step('approve', 'Let a waiting device in'), async (c) => {
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    const actor = actorOf(c);
    await parts.identity.approve(record.id);
    await audit(parts, actor, 'agent.approve', record.id);
    await parts.agentChanged(record.id);
    await parts.desired.recompute(record.id);
    return c.json(parts.fleet.detail(record.id)!, 200);
  });
  router.openapi(
    step('revoke', 'Shut a device out for good, cutting its connection'),
    async (c) => {
      const record = findAgent(parts.fleet, c.req.valid('param').agent);
      const actor = actorOf(c);
      const { cut } = await parts.identity.revoke(record.id);
      await audit(parts, actor, 'agent.revoke', record.id, { cut });
      await parts.agentChanged(record.id);
      await parts.desired.recompute(record.id);
      return c.json(parts.fleet.detail(record.id)!, 200);
    },
  );

  const remove = createRoute({
    method: 'delete',
    path: '/agents/{agent}',
    tags: ['agents'],
    summary: 'Forget a revoked device; its results and events stay',
    middleware: parts.guards.admin,
    request: { params: idParam },
    responses: { 204: { description: 'Forgotten' }, ...problems },
  });
  router.openapi(remove, async (c) => {
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    if (!(await deleteRevokedAgent(parts.db, record.id))) {
      throw new RunnelError('agent_not_revoked', `${record.name} is not revoked`, {
        hint: `revoke it first: runnel agents revoke ${record.id}`,
      });
    }
    await audit(parts, actorOf(c), 'agent.delete', record.id, { name: record.name });
    parts.desired.forget(record.id);
    parts.hosts.forget(record.id);
    parts.forget(record.id);
    await parts.agentChanged(record.id);
    return c.body(null, 204);
  });
}

/** Errors: `label_fixed_conflict`, `request_invalid`. */
function mergedLabels(
  record: AgentRecord,
  change: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const merged = new Map(Object.entries(record.labels));
  for (const [key, value] of Object.entries(change)) {
    if (record.fixedLabels.includes(key) && merged.get(key) !== value) {
      throw new RunnelError('label_fixed_conflict', `the join token fixed the label ${key}`, {
        hint: 'enrol the device again with another token',
      });
    }
    if (value === null) merged.delete(key);
    else merged.set(key, value);
  }
  const parsed = labelsSchema.safeParse(Object.fromEntries(merged));
  if (parsed.success && merged.size <= LABELS_MAX) return parsed.data;
  const why = parsed.success ? `more than ${LABELS_MAX}` : z.prettifyError(parsed.error);
  throw new RunnelError('request_invalid', `labels: ${why}`);
}

const LABELS_MAX = 64;

function refuseTakenName(parts: AgentRoutesParts, record: AgentRecord, name: string): void {
  const other = parts.fleet
    .agents()
    .find((agent) => agent.name === name && agent.id !== record.id && agent.status !== 'revoked');
  if (other === undefined) return;
  throw new RunnelError('name_taken', `${other.id} is called ${name} already`);
}

async function audit(
  parts: AgentRoutesParts,
  actor: Actor,
  action: string,
  subject: string,
  data?: unknown,
): Promise<void> {
  await appendAudit(parts.db, { at: parts.clock.now(), actor: actor.id, action, subject, data });
}

interface Position {
  readonly name: string;
  readonly id: string;
}

function positionOf(item: Position): string {
  return Buffer.from(JSON.stringify([item.name, item.id])).toString('base64url');
}

const positionSchema = z.tuple([z.string(), z.string()]);

function parsePosition(text: string): Position {
  try {
    const [name, id] = positionSchema.parse(
      JSON.parse(Buffer.from(text, 'base64url').toString('utf8')),
    );
    return { name, id };
  } catch (cause) {
    throw new RunnelError('cursor_invalid', `${JSON.stringify(text)} is not a cursor`, { cause });
  }
}

function isAfter(record: Position, after: Position): boolean {
  return (compare(record.name, after.name) || compare(record.id, after.id)) > 0;
}
