/**
 * `/api/v1/runs`: runs of batch jobs as their devices reported them, and a run's log, which stays
 * on its device and is asked for there. Who follows a log asks again with `after` while `open`.
 */
import { createRoute, z } from '@hono/zod-openapi';
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { runState, runTrigger } from '@runnel/shared/protocol/runs.ts';
import type { Kysely } from 'kysely';
import type { DeviceCommands } from '../runs/device-commands.ts';
import { findRuns, pageRuns, type RunRecord } from '../store/runs.ts';
import type { Schema } from '../store/schema.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { newRouter, type Router } from './router.ts';
import { runDetail, runItems } from './run-view.ts';
import { cursorParam, json, limitParam, parseCursor, problems } from './schemas/common-schemas.ts';
import { logPageSchema, runDetailSchema, runSchema } from './schemas/run-schemas.ts';

export interface RunRoutesParts {
  readonly db: Kysely<Schema>;
  readonly fleet: FleetView;
  readonly commands: Pick<DeviceCommands, 'ask'>;
  readonly guards: RoleGuards;
}

export const runParam = z.object({
  run: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .openapi({ description: 'Id of a run, or a beginning that only one has.' }),
});

/** A device could report the id of another's run, which must not hide that one. */
export const runQuery = z.object({
  agent: z.string().min(1).max(128).optional().openapi({
    description: 'Id or name of its agent: needed only when several report a run of this id.',
  }),
});

export interface RunFinder {
  readonly db: Kysely<Schema>;
  readonly fleet: Pick<FleetView, 'agents' | 'find'>;
}

/** Errors: `not_found`, `run_conflict`. */
export async function findRun(
  { db, fleet }: RunFinder,
  idOrPrefix: string,
  agent?: string,
): Promise<RunRecord> {
  // What is unknown is taken as an id, since runs outlive agents.
  const of = agent === undefined ? undefined : (fleet.find(agent)?.id ?? agent);
  const some = await findRuns(db, idOrPrefix, 5, of);
  // Who reported it first is most likely the one that it belongs to.
  const found = some.toSorted((a, b) => a.id - b.id);
  const [first] = found;
  if (first === undefined) throw notFound('run', idOrPrefix);
  if (found.length === 1) return first;
  const ids = [...new Set(found.map(({ run }) => run))];
  if (ids.length > 1) {
    throw new RunnelError('run_conflict', `more than one run begins with ${idOrPrefix}`, {
      hint: `write more of it: ${ids.join(', ')}`,
    });
  }
  const agents = found.map((run) => fleet.find(run.agent)?.name ?? run.agent);
  const message = `${agents.length} agents report a run ${first.run}: ${agents.join(', ')}`;
  throw new RunnelError('run_conflict', message, {
    hint: `say whose: --agent ${agents[0]}, or ?agent=${agents[0]} in an address`,
  });
}

export function runRoutes(parts: RunRoutesParts): Router {
  const router = newRouter();
  addList(router, parts);
  addOne(router, parts);
  addLogs(router, parts);
  return router;
}

function addList(router: Router, parts: RunRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/runs',
    tags: ['runs'],
    summary: 'Runs of batch jobs, newest first',
    description:
      'Newest is what the control plane heard of last for the first time, so that the clock of a ' +
      'device cannot hide a run. A run keeps its place when it changes.',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({
        job: z.string().max(63).optional(),
        agent: z.string().max(128).optional().openapi({ description: 'Id or name.' }),
        state: runState.optional(),
        partition: z.string().max(200).optional(),
        trigger: runTrigger.optional(),
        limit: limitParam(1000, 100),
        cursor: cursorParam,
      }),
    },
    responses: {
      200: json(
        z.object({ items: z.array(runSchema).readonly(), next: z.string().nullable() }),
        'A page; `next` is null on the last one',
      ),
      ...problems,
    },
  });
  router.openapi(list, async (c) => {
    const { job, agent, state, partition, trigger, limit, cursor } = c.req.valid('query');
    const before = parseCursor(cursor);
    const records = await pageRuns(parts.db, {
      // One more than asked for tells whether there is a next page.
      limit: limit + 1,
      ...(job === undefined ? {} : { job }),
      // What is unknown is taken as an id, since runs outlive agents.
      ...(agent === undefined ? {} : { agent: parts.fleet.find(agent)?.id ?? agent }),
      ...(state === undefined ? {} : { state }),
      ...(partition === undefined ? {} : { partition }),
      ...(trigger === undefined ? {} : { trigger }),
      ...(before === undefined ? {} : { before }),
    });
    const page = records.slice(0, limit);
    const next = records.length > limit ? String(page.at(-1)!.id) : null;
    return c.json({ items: await runItems(parts, page), next }, 200);
  });
}

function addOne(router: Router, parts: RunRoutesParts): void {
  const one = createRoute({
    method: 'get',
    path: '/runs/{run}',
    tags: ['runs'],
    summary: 'One run with its parameters and every instance of its tasks',
    middleware: parts.guards.viewer,
    request: { params: runParam, query: runQuery },
    responses: { 200: json(runDetailSchema, 'The run'), ...problems },
  });
  router.openapi(one, async (c) => {
    const record = await findRun(parts, c.req.valid('param').run, c.req.valid('query').agent);
    return c.json(await runDetail(parts, record), 200);
  });
}

function addLogs(router: Router, parts: RunRoutesParts): void {
  const logs = createRoute({
    method: 'get',
    path: '/runs/{run}/logs',
    tags: ['runs'],
    summary: 'Lines of a run, asked of its device now',
    description:
      'To follow a run ask again with `after` = `next` while `open` is true, once a second. A ' +
      'device that is not connected answers 503 `device_unreachable`, with since when.',
    middleware: parts.guards.viewer,
    request: {
      params: runParam,
      query: runQuery.extend({
        task: z.string().min(1).max(128).optional(),
        after: z.coerce.number().int().min(0).default(0).openapi({ type: 'integer', minimum: 0 }),
        limit: limitParam(limits.logLinesMax, 200),
      }),
    },
    responses: { 200: json(logPageSchema, 'Lines'), ...problems },
  });
  router.openapi(logs, async (c) => {
    const { task, after, limit, agent: of } = c.req.valid('query');
    const { agent, run } = await findRun(parts, c.req.valid('param').run, of);
    const { lines, open } = await parts.commands.ask(agent, {
      action: 'logs',
      run,
      task: task ?? null,
      after,
      linesMax: limit,
    });
    // A device that repeats itself must not keep who asks for what is next busy for ever.
    const items = lines.filter(({ n }) => n > after).slice(0, limit);
    const next = items.reduce((last, { n }) => Math.max(last, n), after);
    return c.json({ items, next, open }, 200);
  });
}
