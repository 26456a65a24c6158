/**
 * Parameters: `/api/v1/jobs/{job}/parameters` (what is declared, and the values that are set in
 * layers), and what they come to on an agent, each with its origin.
 */
import { createRoute, z } from '@hono/zod-openapi';
import type { Kysely } from 'kysely';
import type { JobParameterLayers, ParameterizedJob } from '../definitions/job-parameters.ts';
import { type ParameterScope, parseScope } from '../definitions/parameter-layers.ts';
import type { DesiredState } from '../rollouts/desired-state.ts';
import type { AgentRecord } from '../store/agents.ts';
import { getVersion, type JobRecord } from '../store/jobs.ts';
import type { Schema } from '../store/schema.ts';
import { findAgent } from './find-agent.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { json, problems } from './schemas/common-schemas.ts';
import {
  agentJobParametersSchema,
  agentParametersSchema,
  jobParametersSchema,
  parameterChangeSchema,
} from './schemas/parameter-schemas.ts';

export interface ParameterRoutesParts {
  readonly db: Kysely<Schema>;
  readonly parameters: JobParameterLayers;
  readonly fleet: FleetView;
  readonly desired: Pick<DesiredState, 'versionsOf' | 'blockedOf'>;
  readonly guards: RoleGuards;
}

const jobParam = z.object({ job: z.string().min(1).max(63) });
const agentParam = z.object({
  agent: z.string().min(1).max(128).openapi({ description: 'Id, or a name that only one has.' }),
});

export function parameterRoutes(parts: ParameterRoutesParts): Router {
  const router = newRouter();
  addOfJob(router, parts);
  addOfAgent(router, parts);
  return router;
}

function addOfJob(router: Router, parts: ParameterRoutesParts): void {
  const { parameters } = parts;
  const list = createRoute({
    method: 'get',
    path: '/jobs/{job}/parameters',
    tags: ['parameters'],
    summary: 'What a job declares, and the values that are set, layer by layer',
    middleware: parts.guards.viewer,
    request: { params: jobParam },
    responses: { 200: json(jobParametersSchema, 'Declarations and layers'), ...problems },
  });
  router.openapi(list, async (c) =>
    c.json(await parameters.list(findJob(parts, c.req.valid('param').job)), 200),
  );

  const change = createRoute({
    method: 'patch',
    path: '/jobs/{job}/parameters',
    tags: ['parameters'],
    summary: 'Set and unset values of one layer; all of it or nothing, in effect at once',
    middleware: parts.guards.operator,
    request: {
      params: jobParam,
      body: { required: true, content: { 'application/json': { schema: parameterChangeSchema } } },
    },
    responses: { 200: json(jobParametersSchema, 'Declarations and layers'), ...problems },
  });
  router.openapi(change, async (c) => {
    const job = findJob(parts, c.req.valid('param').job);
    const { scope, set, unset } = c.req.valid('json');
    const edit = { scope: resolved(parts, parseScope(scope)), set, unset };
    await parameters.change(job, edit, actorOf(c).id);
    return c.json(await parameters.list(job), 200);
  });
}

function addOfAgent(router: Router, parts: ParameterRoutesParts): void {
  const one = createRoute({
    method: 'get',
    path: '/jobs/{job}/agents/{agent}/parameters',
    tags: ['parameters'],
    summary: 'The values that a job has, or would have, on a device, each with its origin',
    middleware: parts.guards.viewer,
    request: { params: jobParam.extend(agentParam.shape) },
    responses: { 200: json(agentJobParametersSchema, 'Effective values'), ...problems },
  });
  router.openapi(one, async (c) => {
    const { job, agent } = c.req.valid('param');
    const record = findAgent(parts.fleet, agent);
    return c.json(await effective(parts, findJob(parts, job), record), 200);
  });

  const all = createRoute({
    method: 'get',
    path: '/agents/{agent}/parameters',
    tags: ['parameters'],
    summary: 'The values of every job that is to run on a device, each with its origin',
    middleware: parts.guards.viewer,
    request: { params: agentParam },
    responses: { 200: json(agentParametersSchema, 'Effective values by job'), ...problems },
  });
  router.openapi(all, async (c) => {
    const record = findAgent(parts.fleet, c.req.valid('param').agent);
    const { desired } = parts;
    const wanted = [...desired.versionsOf(record.id).keys()];
    const names = [...new Set([...wanted, ...desired.blockedOf(record.id).keys()])].toSorted();
    const jobs = names.flatMap((name) => parts.fleet.job(name) ?? []);
    const items = await Promise.all(jobs.map((job) => effective(parts, job, record)));
    return c.json({ agent: record.id, agentName: record.name, jobs: items }, 200);
  });
}

/** With the version that the agent is to run, which may not be the newest. */
async function effective(parts: ParameterRoutesParts, job: JobRecord, record: AgentRecord) {
  const version = parts.desired.versionsOf(record.id).get(job.name) ?? job.version;
  return await parts.parameters.of(
    await versionOf(parts, job, version),
    parts.fleet.placeable(record),
  );
}

async function versionOf(
  { db }: ParameterRoutesParts,
  job: JobRecord,
  version: number,
): Promise<ParameterizedJob> {
  if (version === job.version) return job;
  const stored = await getVersion(db, job.name, version);
  return stored === undefined ? job : { ...job, version, document: stored.document };
}

function findJob({ fleet }: ParameterRoutesParts, name: string): JobRecord {
  const job = fleet.job(name);
  if (job === undefined) throw notFound('job', name);
  return job;
}

/** An agent's scope by its id, whatever it was called. */
function resolved({ fleet }: ParameterRoutesParts, scope: ParameterScope): ParameterScope {
  if (scope.kind !== 'agent') return scope;
  return { kind: 'agent', agent: findAgent(fleet, scope.agent).id };
}
