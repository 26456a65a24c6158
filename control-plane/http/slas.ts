/** `/api/v1/slas`: verdicts on what jobs promise, their history, and how well they were kept. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import type { Kysely } from 'kysely';
import type { SlaBoard } from '../sla/sla-board.ts';
import { readSlaCompliance, readSlaHistory } from '../sla/sla-history.ts';
import type { Schema } from '../store/schema.ts';
import { findAgent } from './find-agent.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { newRouter, type Router } from './router.ts';
import { json, parseSince, problems, sinceParam } from './schemas/common-schemas.ts';
import {
  slaComplianceSchema,
  slaIntervalSchema,
  slaSchema,
  slaVerdictSchema,
} from './schemas/sla-schemas.ts';

export interface SlaRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly fleet: FleetView;
  readonly slas: SlaBoard;
  readonly guards: RoleGuards;
}

const HISTORY_MS = 86_400_000;

const truncated = z.boolean().openapi({
  description: 'There is more than one answer holds: of the earliest time some is missing.',
});
const jobParam = z.string().min(1).max(63);
const agentParam = z.string().min(1).max(128).optional().openapi({ description: 'Id or name.' });

export function slaRoutes(parts: SlaRoutesParts): Router {
  const router = newRouter();
  const list = createRoute({
    method: 'get',
    path: '/slas',
    tags: ['slas'],
    summary: 'Verdicts of now on everything that jobs promise',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        job: jobParam.optional(),
        agent: agentParam,
        verdict: slaVerdictSchema.optional(),
      }),
    },
    responses: {
      200: json(z.object({ items: z.array(slaSchema).readonly() }), 'By job, promise and agent'),
      ...problems,
    },
  });
  router.openapi(list, (c) => {
    const { job, agent, verdict } = c.req.valid('query');
    const items = parts.slas.list({
      ...(job === undefined ? {} : { job }),
      ...(agent === undefined ? {} : { agent: findAgent(parts.fleet, agent).id }),
      ...(verdict === undefined ? {} : { verdict }),
    });
    return c.json({ items }, 200);
  });
  addHistory(router, parts);
  addCompliance(router, parts);
  return router;
}

function addHistory(router: Router, parts: SlaRoutesParts): void {
  const history = createRoute({
    method: 'get',
    path: '/slas/history',
    tags: ['slas'],
    summary: 'How long promises of a job had which verdict',
    description:
      'Of a time in which a device could not be heard it tells the verdicts itself when it is ' +
      'back: until then, and where it has none to tell, that time is `unreachable`.',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        job: jobParam,
        sla: jobParam.optional(),
        agent: agentParam,
        since: sinceParam.openapi({ description: 'Default: 24 hours ago.' }),
      }),
    },
    responses: {
      200: json(
        z.object({ items: z.array(slaIntervalSchema).readonly(), truncated }),
        'By promise and agent, then in the order of time',
      ),
      ...problems,
    },
  });
  router.openapi(history, async (c) => {
    const { job, sla, agent, since } = c.req.valid('query');
    findJob(parts, job);
    const read = await readSlaHistory(parts, {
      job,
      ...(sla === undefined ? {} : { sla }),
      ...(agent === undefined ? {} : { agent: findAgent(parts.fleet, agent).id }),
      since: parseSince(since) ?? parts.clock.now() - HISTORY_MS,
    });
    return c.json(read, 200);
  });
}

function addCompliance(router: Router, parts: SlaRoutesParts): void {
  const compliance = createRoute({
    method: 'get',
    path: '/slas/compliance',
    tags: ['slas'],
    summary: 'How well promises of a job were kept, and what is left of their error budgets',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        job: jobParam,
        over: z.string().max(32).optional().openapi({
          description: 'A duration like `7d`. Default: of each promise its own `window`.',
          example: '7d',
        }),
      }),
    },
    responses: {
      200: json(
        z.object({ items: z.array(slaComplianceSchema).readonly(), truncated }),
        'Of each promise a line for the whole job, then one for each agent',
      ),
      ...problems,
    },
  });
  router.openapi(compliance, async (c) => {
    const { job, over } = c.req.valid('query');
    findJob(parts, job);
    return c.json(await readSlaCompliance(parts, job, parseOver(over)), 200);
  });
}

function findJob({ fleet }: SlaRoutesParts, job: string): void {
  if (fleet.job(job) === undefined) throw notFound('job', job);
}

/** Errors: `request_invalid`. */
function parseOver(text: string | undefined): number | null {
  if (text === undefined || text === '') return null;
  const ms = durationOf(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new RunnelError('request_invalid', `over: ${JSON.stringify(text)} is no duration`, {
    hint: 'a number with a unit, like 7d',
  });
}
