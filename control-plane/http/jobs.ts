/** `/api/v1/jobs`: apply, validate, list, one job, its versions, delete. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Kysely } from 'kysely';
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { datasetsOf } from '../definitions/datasets-of.ts';
import type { ApplyOutcome, Definitions } from '../definitions/definitions.ts';
import type { JobParameterLayers } from '../definitions/job-parameters.ts';
import { placedJob } from '../rollouts/placement.ts';
import {
  placementReport,
  placementWarnings,
  refuseUnplaced,
} from '../rollouts/placement-report.ts';
import { getVersion, type JobVersionRecord, listVersions } from '../store/jobs.ts';
import type { Schema } from '../store/schema.ts';
import type { FleetView } from './fleet-view.ts';
import { notFound } from './problem.ts';
import type { RoleGuards } from './role-guards.ts';
import { actorOf, newRouter, type Router } from './router.ts';
import { flagParam, isSet, json, problems } from './schemas/common-schemas.ts';
import {
  applyReplySchema,
  jobDetailSchema,
  jobSchema,
  jobVersionDetailSchema,
  jobVersionSchema,
  validateReplySchema,
} from './schemas/job-schemas.ts';

export interface JobRoutesParts {
  readonly db: Kysely<Schema>;
  readonly definitions: Definitions;
  readonly parameters: Pick<JobParameterLayers, 'layers'>;
  readonly fleet: FleetView;
  readonly guards: RoleGuards;
}

const nameParam = z.object({ job: z.string().min(1).max(63) });

/** A document is text; which of the two languages it is in shows by itself. */
const documentBody = {
  required: true,
  description: `A job document as YAML or JSON text, up to ${limits.definitionBytesMax} bytes`,
  content: {
    'application/yaml': { schema: z.string() },
    'application/json': { schema: z.unknown() },
    'text/plain': { schema: z.string() },
  },
};

const applyQuery = z.object({
  dryRun: flagParam,
  strict: flagParam.openapi({
    description: 'Store nothing when an agent that the selector chooses cannot run the job.',
  }),
});

export function jobRoutes(parts: JobRoutesParts): Router {
  const router = newRouter();
  addChanges(router, parts);
  addReads(router, parts);
  addPauses(router, parts);
  addVersions(router, parts);
  return router;
}

/**
 * These two are plain routes with their OpenAPI entry beside them: the body is text that
 * `definitions/` parses, with lines and columns in its errors, and must not be parsed before.
 */
function addChanges(router: Router, parts: JobRoutesParts): void {
  router.openAPIRegistry.registerPath({
    method: 'post',
    path: '/jobs',
    tags: ['jobs'],
    summary: 'Apply a job document',
    request: { query: applyQuery, body: documentBody },
    responses: {
      200: json(applyReplySchema, 'No new version was needed, or a dry run'),
      201: json(applyReplySchema, 'A new version'),
      ...problems,
    },
  });
  router.post('/jobs', parts.guards.operator, async (c) => {
    const text = documentText(await c.req.text());
    const { definitions, fleet } = parts;
    if (isSet(c.req.query('strict'))) {
      const { placements, name } = await reportOf(parts, await definitions.dryRun(text));
      refuseUnplaced(name, placements);
    }
    const dryRun = isSet(c.req.query('dryRun'));
    const outcome = await (dryRun
      ? definitions.dryRun(text)
      : definitions.apply(text, actorOf(c).id));
    const { document: _document, ...fields } = outcome;
    const { placements, warnings } = await reportOf(parts, outcome);
    const item = fleet.jobItems().find((job) => job.name === outcome.name);
    const agents = { desired: item?.agents.desired ?? 0 };
    const status = outcome.created && !outcome.dryRun ? 201 : 200;
    return c.json({ ...fields, agents, warnings, placements }, status);
  });

  router.openAPIRegistry.registerPath({
    method: 'post',
    path: '/jobs/validate',
    tags: ['jobs'],
    summary: 'Every issue of a job document; stores nothing',
    request: { body: documentBody },
    responses: { 200: json(validateReplySchema, 'Valid, or what is wrong'), ...problems },
  });
  router.post('/jobs/validate', parts.guards.viewer, async (c) =>
    c.json(parts.definitions.validate(documentText(await c.req.text())), 200),
  );
}

/** Where the job can run, and what to say of it. */
async function reportOf(parts: JobRoutesParts, outcome: ApplyOutcome) {
  const { fleet, parameters } = parts;
  const layers = await parameters.layers(outcome.name);
  const job = placedJob({ ...outcome, document: JSON.parse(outcome.document) }, layers);
  const agents = fleet.agents().map((record) => fleet.placeable(record));
  const placements = placementReport(job, agents);
  return { name: job.name, placements, warnings: placementWarnings(job, placements) };
}

function documentText(text: string): string {
  if (Buffer.byteLength(text) > limits.definitionBytesMax) {
    throw new RunnelError(
      'definition_too_large',
      `the job document is larger than ${limits.definitionBytesMax} bytes`,
    );
  }
  if (text.trim() !== '') return text;
  throw new RunnelError('request_invalid', 'the body is empty', {
    hint: 'send the job document as text',
  });
}

function addReads(router: Router, parts: JobRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/jobs',
    tags: ['jobs'],
    summary: 'Jobs that are to run, with how many agents want, run or fail each',
    middleware: parts.guards.viewer,
    responses: { 200: json(z.object({ items: z.array(jobSchema).readonly() }), 'Jobs') },
  });
  router.openapi(list, (c) => c.json({ items: parts.fleet.jobItems() }, 200));

  const one = createRoute({
    method: 'get',
    path: '/jobs/{job}',
    tags: ['jobs'],
    summary: 'One job: its document and where it runs',
    middleware: parts.guards.viewer,
    request: { params: nameParam },
    responses: { 200: json(jobDetailSchema, 'The job'), ...problems },
  });
  router.openapi(one, async (c) => {
    const name = c.req.valid('param').job;
    const job = parts.fleet.job(name);
    const item = parts.fleet.jobItems().find((candidate) => candidate.name === name);
    if (job === undefined || item === undefined) throw notFound('job', name);
    const version = await getVersion(parts.db, name, job.version);
    const { agents: counts, ...fields } = item;
    return c.json(
      {
        ...fields,
        counts,
        document: job.document,
        source: version?.source ?? '',
        agents: parts.fleet.jobAgents(name),
        datasets: datasetsOf(job.document),
      },
      200,
    );
  });

  const remove = createRoute({
    method: 'delete',
    path: '/jobs/{job}',
    tags: ['jobs'],
    summary: 'Stop a job everywhere; its versions and results stay',
    middleware: parts.guards.operator,
    request: { params: nameParam },
    responses: { 204: { description: 'Deleted' }, ...problems },
  });
  router.openapi(remove, async (c) => {
    await parts.definitions.delete(c.req.valid('param').job, actorOf(c).id);
    return c.body(null, 204);
  });
}

function addPauses(router: Router, parts: JobRoutesParts): void {
  for (const [step, summary] of [
    ['pause', 'Stop a job on every agent, to go on later; a batch job starts no runs'],
    ['resume', 'Let a paused job go on'],
  ] as const) {
    const route = createRoute({
      method: 'post',
      path: `/jobs/{job}/${step}`,
      tags: ['jobs'],
      summary,
      middleware: parts.guards.operator,
      request: { params: nameParam },
      responses: { 200: json(jobSchema, 'The job'), ...problems },
    });
    router.openapi(route, async (c) => {
      const name = c.req.valid('param').job;
      await parts.definitions.setPaused(name, step === 'pause', actorOf(c).id);
      const item = parts.fleet.jobItems().find((job) => job.name === name);
      if (item === undefined) throw notFound('job', name);
      return c.json(item, 200);
    });
  }
}

function addVersions(router: Router, parts: JobRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/jobs/{job}/versions',
    tags: ['jobs'],
    summary: 'Versions of a job, newest first; of a deleted one too',
    middleware: parts.guards.viewer,
    request: { params: nameParam },
    responses: {
      200: json(z.object({ items: z.array(jobVersionSchema).readonly() }), 'Versions'),
      ...problems,
    },
  });
  router.openapi(list, async (c) => {
    const name = c.req.valid('param').job;
    const records = await listVersions(parts.db, name);
    if (records.length === 0) throw notFound('job', name);
    return c.json({ items: records.map((record) => versionFields(record, parts)) }, 200);
  });

  const one = createRoute({
    method: 'get',
    path: '/jobs/{job}/versions/{version}',
    tags: ['jobs'],
    summary: 'One version with its document and the text as it was submitted',
    middleware: parts.guards.viewer,
    request: {
      params: nameParam.extend({
        version: z.coerce.number().int().positive().openapi({ type: 'integer', minimum: 1 }),
      }),
    },
    responses: { 200: json(jobVersionDetailSchema, 'The version'), ...problems },
  });
  router.openapi(one, async (c) => {
    const { job, version } = c.req.valid('param');
    const record = await getVersion(parts.db, job, version);
    if (record === undefined) throw notFound('version', `${job}/${version}`);
    const { document, source } = record;
    return c.json({ ...versionFields(record, parts), document, source }, 200);
  });
}

function versionFields(record: JobVersionRecord, parts: JobRoutesParts) {
  return {
    job: record.job,
    version: record.version,
    hash: record.hash,
    createdAt: record.createdAt,
    createdBy: record.createdBy,
    current: parts.fleet.job(record.job)?.version === record.version,
  };
}
