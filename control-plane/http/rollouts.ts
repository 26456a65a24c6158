/** `/api/v1/rollouts` and a job's rollout: how a version reaches devices, and a person's say. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Kysely } from 'kysely';
import { ROLLOUT_ACTIONS, type RolloutAction, type Rollouts } from '../rollouts/rollouts.ts';
import { appendAudit } from '../store/audit.ts';
import type { Schema } from '../store/schema.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { json, problems } from './schemas/common-schemas.ts';
import { rolloutAgentSchema, rolloutSchema } from './schemas/rollout-schemas.ts';

export interface RolloutRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly fleet: FleetView;
  readonly rollouts: Rollouts;
  readonly guards: RoleGuards;
}

const jobParam = z.object({ job: z.string().min(1).max(63) });

const SUMMARIES: Readonly<Record<RolloutAction, string>> = {
  pause: 'Suspend a rollout: no device is changed until it is resumed',
  resume: 'Go on with a suspended rollout; failures that its gate stopped at are accepted',
  approve: 'Let the next batch begin',
  abort: 'End a rollout where it is: every device keeps what it has',
  undo: 'Go back to the last good version at once',
};

export function rolloutRoutes(parts: RolloutRoutesParts): Router {
  const router = newRouter();
  addReads(router, parts);
  addAgents(router, parts);
  for (const action of ROLLOUT_ACTIONS) addAction(router, parts, action);
  return router;
}

function addReads(router: Router, { fleet, rollouts, guards }: RolloutRoutesParts): void {
  const items = z.object({ items: z.array(rolloutSchema).readonly() });
  const list = createRoute({
    method: 'get',
    path: '/rollouts',
    tags: ['rollouts'],
    summary: 'The newest rollout of every job, by job',
    middleware: guards.viewer,
    responses: { 200: json(items, 'Rollouts') },
  });
  router.openapi(list, (c) => c.json({ items: rollouts.list() }, 200));

  const one = createRoute({
    method: 'get',
    path: '/jobs/{job}/rollout',
    tags: ['rollouts'],
    summary: 'The newest rollout of a job',
    middleware: guards.viewer,
    request: { params: jobParam },
    responses: { 200: json(rolloutSchema, 'The rollout'), ...problems },
  });
  router.openapi(one, (c) => {
    const { job } = c.req.valid('param');
    const item = rollouts.item(job);
    if (item === null) throw notFound(fleet.job(job) === undefined ? 'job' : 'rollout', job);
    return c.json(item, 200);
  });

  const history = createRoute({
    method: 'get',
    path: '/jobs/{job}/rollouts',
    tags: ['rollouts'],
    summary: 'Rollouts of a job, newest first; of a deleted one too',
    middleware: guards.viewer,
    request: { params: jobParam },
    responses: { 200: json(items, 'Rollouts'), ...problems },
  });
  router.openapi(history, async (c) => {
    const { job } = c.req.valid('param');
    const found = await rollouts.history(job);
    if (found.length === 0) throw notFound('job', job);
    return c.json({ items: found }, 200);
  });
}

function addAgents(router: Router, { fleet, rollouts, guards }: RolloutRoutesParts): void {
  const agents = createRoute({
    method: 'get',
    path: '/jobs/{job}/rollout/agents',
    tags: ['rollouts'],
    summary: 'Every device of the newest rollout, by batch: what it runs and why it does not',
    middleware: guards.viewer,
    request: { params: jobParam },
    responses: {
      200: json(z.object({ items: z.array(rolloutAgentSchema).readonly() }), 'Devices'),
      ...problems,
    },
  });
  router.openapi(agents, (c) => {
    const { job } = c.req.valid('param');
    const concerned = fleet.jobAgents(job).filter(({ notPlaced }) => notPlaced === null);
    const others = concerned.map(({ agent, name }) => ({ id: agent, name }));
    return c.json({ items: rollouts.agents(job, others) }, 200);
  });
}

function addAction(
  router: Router,
  { db, clock, rollouts, guards }: RolloutRoutesParts,
  action: RolloutAction,
): void {
  const route = createRoute({
    method: 'post',
    path: `/jobs/{job}/rollout/${action}`,
    tags: ['rollouts'],
    summary: SUMMARIES[action],
    middleware: guards.operator,
    request: { params: jobParam },
    responses: { 200: json(rolloutSchema, 'The rollout as it is now'), ...problems },
  });
  router.openapi(route, async (c) => {
    const { job } = c.req.valid('param');
    const actor = actorOf(c).id;
    const item = await rollouts.act(job, action, actor);
    const { id, version, phase } = item;
    const data = { rollout: id, version, phase };
    const at = clock.now();
    await appendAudit(db, { at, actor, action: `rollout.${action}`, subject: job, data });
    return c.json(item, 200);
  });
}
