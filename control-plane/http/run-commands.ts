/** `/api/v1/runs` and `/api/v1/backfills`: what operators ask of devices, and what these said. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { SUBJECT_TOKEN } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import { BACKFILL_ORDERS, BACKFILL_WHICH } from '@runnel/shared/protocol/runs.ts';
import { audited, commandAudit } from '../runs/audit-command.ts';
import type { BatchRequest, DeviceCommands } from '../runs/device-commands.ts';
import type { RunControl, RunTargets } from '../runs/run-control.ts';
import { findAgent } from './find-agent.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { findRun, type RunFinder, runParam, runQuery } from './runs.ts';
import { json, problems } from './schemas/common-schemas.ts';
import {
  actionReplySchema,
  agentAnswerSchema,
  backfillReplySchema,
} from './schemas/run-schemas.ts';

export interface RunCommandsParts extends RunFinder {
  readonly clock: Clock;
  readonly control: RunControl;
  readonly commands: Pick<DeviceCommands, 'ask'>;
  readonly guards: RoleGuards;
}

const name = z.string().min(1).max(128);
const partition = z.string().min(1).max(200);

const targetFields = {
  job: z.string().min(1).max(63),
  agents: z.array(name).min(1).max(limits.commandAgentsMax).optional().openapi({
    description: 'Ids or names; or `selector`.',
  }),
  selector: z.string().max(2048).optional().openapi({
    description: 'Chooses among the agents on which the job is placed.',
  }),
  parameters: z.record(z.string(), z.unknown()).default({}),
};

const startSchema = z.strictObject({
  ...targetFields,
  partition: partition.nullable().default(null).openapi({
    description: 'Null: the newest whole one.',
  }),
  fullRefresh: z.boolean().default(false).openapi({ description: 'Ignore incremental cursors.' }),
});

const backfillSchema = z.strictObject({
  ...targetFields,
  from: z.number().openapi({ description: 'Partitions that begin in `[from, to)`.' }),
  to: z.number(),
  which: z.enum(BACKFILL_WHICH).default('none').openapi({
    description: 'Those without a run; also those that failed; all.',
  }),
  order: z.enum(BACKFILL_ORDERS).default('oldest'),
  maxActive: z.number().int().min(1).max(1000).default(1),
  dryRun: z.boolean().default(false),
});

const body = <T extends z.ZodType>(schema: T, required = true) => ({
  required,
  content: { 'application/json': { schema } },
});

const answers = {
  200: json(
    z.object({
      items: z.array(agentAnswerSchema).readonly(),
      at: z.number().openapi({
        description: 'When they were asked. A report of a run that came later speaks of this.',
      }),
    }),
    'What each agent said; 409 when none of them has the job',
  ),
  ...problems,
};

export function runCommandRoutes(parts: RunCommandsParts): Router {
  const router = newRouter();
  addStarts(router, parts);
  addBackfillCancel(router, parts);
  addActions(router, parts);
  return router;
}

function addStarts(router: Router, parts: RunCommandsParts): void {
  const start = createRoute({
    method: 'post',
    path: '/runs',
    tags: ['runs'],
    summary: 'Run a batch job now on one or more agents',
    middleware: parts.guards.operator,
    request: { body: body(startSchema) },
    responses: answers,
  });
  router.openapi(start, async (c) => {
    const { agents, selector, ...request } = c.req.valid('json');
    const { job } = request;
    const at = parts.clock.now();
    const audit = commandAudit(parts, { actor: actorOf(c).id, action: 'run.start', subject: job });
    const items = await parts.control.start(
      job,
      targetsOf({ agents, selector }),
      { action: 'run', ...request },
      (asked) => audit.intend({ ...request, agents: asked }),
    );
    await audit.told(items);
    return c.json({ items, at }, 200);
  });

  const backfill = createRoute({
    method: 'post',
    path: '/backfills',
    tags: ['runs'],
    summary: 'Run a batch job for a range of partitions; `dryRun` lists what would run',
    middleware: parts.guards.operator,
    request: { body: body(backfillSchema) },
    responses: answers,
  });
  router.openapi(backfill, async (c) => {
    const { agents, selector, ...request } = c.req.valid('json');
    const { job } = request;
    if (request.from >= request.to) {
      throw new RunnelError('request_invalid', 'from must be before to', {
        hint: 'the range is [from, to), epoch milliseconds',
      });
    }
    const at = parts.clock.now();
    const entry = { actor: actorOf(c).id, action: 'run.backfill', subject: job };
    const audit = commandAudit(parts, entry);
    const items = await parts.control.start(
      job,
      targetsOf({ agents, selector }),
      { action: 'backfill', ...request },
      async (asked) => {
        if (!request.dryRun) await audit.intend({ ...request, agents: asked });
      },
    );
    await audit.told(items);
    return c.json({ items, at }, 200);
  });
}

function addBackfillCancel(router: Router, parts: RunCommandsParts): void {
  const cancel = createRoute({
    method: 'post',
    path: '/backfills/{backfill}/cancel',
    tags: ['runs'],
    summary: 'Stop a backfill of a device: its open runs are cancelled, no more follow',
    middleware: parts.guards.operator,
    request: {
      params: z.object({ backfill: z.string().regex(SUBJECT_TOKEN).max(64) }),
      query: z.object({ agent: z.string().openapi({ description: 'Id or name of the device.' }) }),
    },
    responses: { 200: json(backfillReplySchema, 'What the device made of it'), ...problems },
  });
  router.openapi(cancel, async (c) => {
    const { backfill } = c.req.valid('param');
    const agent = findAgent(parts.fleet, c.req.valid('query').agent).id;
    const entry = { actor: actorOf(c).id, action: 'run.cancel', subject: backfill };
    const { runs, skipped = null } = await audited(
      commandAudit(parts, entry),
      agent,
      { agent, backfill },
      async () => await parts.commands.ask(agent, { action: 'cancel', run: backfill }),
    );
    return c.json({ agent, runs, skipped }, 200);
  });
}

function targetsOf(given: {
  readonly agents: readonly string[] | undefined;
  readonly selector: string | undefined;
}): RunTargets {
  const { agents, selector } = given;
  if (agents !== undefined && selector === undefined) return { agents };
  if (agents === undefined && selector !== undefined) return { selector };
  throw new RunnelError('request_invalid', 'say `agents` or `selector`, and not both', {
    hint: 'an empty selector chooses every agent on which the job is placed',
  });
}

const task = z.string().min(1).max(128);

/** What each action takes beside the run. */
const ACTIONS = {
  cancel: {
    summary: 'Stop a run; its teardown tasks still run',
    schema: z.strictObject({}),
  },
  rerun: {
    summary: 'Run again what did not succeed, everything from a task on, or all',
    schema: z.strictObject({
      from: task.nullable().default(null),
      all: z.boolean().default(false).openapi({
        description: 'Every task, also what succeeded; not together with `from`.',
      }),
      fullRefresh: z.boolean().default(false),
    }),
  },
  clear: {
    summary: 'Forget a task and what depends on it, which runs again',
    schema: z.strictObject({ task }),
  },
  'mark-success': {
    summary: 'Take a run, or one task of it, for succeeded',
    schema: z.strictObject({ task: task.nullable().default(null) }),
  },
} as const;

type ActionBody = {
  readonly [K in keyof typeof ACTIONS]: z.output<(typeof ACTIONS)[K]['schema']>;
};

const REQUESTS: {
  readonly [K in keyof ActionBody]: (run: string, body: ActionBody[K]) => BatchRequest;
} = {
  cancel: (run) => ({ action: 'cancel', run }),
  rerun: (run, { from, all, fullRefresh }) => {
    if (all && from !== null) {
      throw new RunnelError('request_invalid', 'say `from` or `all`, and not both');
    }
    return { action: 'rerun', run, from, all, fullRefresh };
  },
  clear: (run, given) => ({ action: 'clear', run, task: given.task }),
  'mark-success': (run, given) => ({ action: 'markSuccess', run, task: given.task }),
};

function addActions(router: Router, parts: RunCommandsParts): void {
  addAction(router, parts, 'cancel');
  addAction(router, parts, 'rerun');
  addAction(router, parts, 'clear');
  addAction(router, parts, 'mark-success');
}

function addAction<K extends keyof ActionBody>(
  router: Router,
  parts: RunCommandsParts,
  action: K,
): void {
  const { summary, schema } = ACTIONS[action];
  const route = createRoute({
    method: 'post',
    path: `/runs/{run}/${action}`,
    tags: ['runs'],
    summary,
    middleware: parts.guards.operator,
    request: { params: runParam, query: runQuery, body: body(schema, action === 'clear') },
    responses: { 200: json(actionReplySchema, 'What the device made of it'), ...problems },
  });
  router.openapi(route, async (c) => {
    // Without a body there is nothing to parse, and the defaults hold.
    const given = schema.parse(c.req.valid('json') ?? {}) as ActionBody[K];
    const { agent, run } = await findRun(
      parts,
      c.req.valid('param').run,
      c.req.valid('query').agent,
    );
    const entry = { actor: actorOf(c).id, action: `run.${action}`, subject: run };
    const { runs } = await audited(
      commandAudit(parts, entry),
      agent,
      { agent, ...given },
      async () => await parts.commands.ask(agent, REQUESTS[action](run, given)),
    );
    return c.json({ agent, runs }, 200);
  });
}
