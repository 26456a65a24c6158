/** `/api/v1/datasets`, `/api/v1/alert-rows`: what jobs produced, in insertion order by cursor. */
import { createRoute, z } from '@hono/zod-openapi';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Kysely } from 'kysely';
import type { DatasetStats } from '../store/dataset-stats.ts';
import { pageResults, type ResultPage, type ResultSlice } from '../store/results.ts';
import type { Schema } from '../store/schema.ts';
import type { FleetView } from './fleet-view.ts';
import type { RoleGuards } from './role-guards.ts';
import { newRouter, type Router } from './router.ts';
import {
  cursorParam,
  flagParam,
  isSet,
  json,
  limitParam,
  parseCursor,
  parseSince,
  problems,
  sinceParam,
} from './schemas/common-schemas.ts';
import { alertRowSchema, resultItem, resultSchema } from './schemas/result-schemas.ts';

export interface DatasetRoutesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly fleet: FleetView;
  readonly datasets: DatasetStats;
  readonly guards: RoleGuards;
}

const next = z.string().openapi({
  description: 'Always a cursor; with empty `items` it means that there is nothing new yet.',
});

const agentParam = z.string().min(1).max(128).optional().openapi({ description: 'Id or name.' });

/** How results and alerts are paged alike. */
const pageQuery = {
  agent: agentParam,
  after: cursorParam,
  limit: limitParam(1000, 100),
  since: sinceParam.openapi({ description: 'Event time, inclusive.' }),
  latest: flagParam,
  newest: flagParam.openapi({
    description: 'The newest `limit` rows instead of a walk from `after`.',
  }),
};

export function datasetRoutes(parts: DatasetRoutesParts): Router {
  const router = newRouter();
  addDatasets(router, parts);
  addResults(router, parts);
  addAlertRows(router, parts);
  return router;
}

function addDatasets(router: Router, parts: DatasetRoutesParts): void {
  const list = createRoute({
    method: 'get',
    path: '/datasets',
    tags: ['results'],
    summary: 'Datasets that hold results',
    middleware: parts.guards.viewer,
    responses: {
      200: json(
        z.object({
          items: z.array(
            z
              .object({
                dataset: z.string(),
                job: z.string().openapi({ description: 'The job whose row came last.' }),
                rows: z.number().int(),
                lastAt: z.number(),
              })
              .openapi('Dataset'),
          ),
        }),
        'Datasets',
      ),
      ...problems,
    },
  });
  router.openapi(list, async (c) => c.json({ items: await parts.datasets.list() }, 200));
}

function addResults(router: Router, parts: DatasetRoutesParts): void {
  const results = createRoute({
    method: 'get',
    path: '/datasets/{dataset}/results',
    tags: ['results'],
    summary: 'Results of a dataset in the order in which they were stored',
    description:
      '`latest=true` gives of each window the highest revision only, and nothing of a window ' +
      'whose highest revision is a retraction. It is judged against the whole dataset, so that ' +
      'paging through a store at rest gives each window once. A follower sees a window again ' +
      'when a higher revision arrives, and no retractions: to follow those, leave it out.',
    middleware: parts.guards.viewer,
    request: {
      params: z.object({ dataset: z.string().min(1).max(128) }),
      query: z.object(pageQuery),
    },
    responses: {
      200: json(z.object({ items: z.array(resultSchema).readonly(), next }), 'A page'),
      ...problems,
    },
  });
  router.openapi(results, async (c) => {
    const { dataset } = c.req.valid('param');
    const page = await pageOf(parts, c.req.valid('query'), { kind: 'result', dataset });
    return c.json({ items: page.items.map(resultItem), next: String(page.next) }, 200);
  });
}

function addAlertRows(router: Router, parts: DatasetRoutesParts): void {
  const alerts = createRoute({
    method: 'get',
    path: '/alert-rows',
    tags: ['results'],
    summary: 'What alert steps of jobs said, in the order in which it was stored',
    middleware: parts.guards.viewer,
    request: {
      query: z.object({ ...pageQuery, job: z.string().max(63).optional() }),
    },
    responses: {
      200: json(z.object({ items: z.array(alertRowSchema).readonly(), next }), 'A page'),
      ...problems,
    },
  });
  router.openapi(alerts, async (c) => {
    const query = c.req.valid('query');
    const job = query.job === undefined ? {} : { job: query.job };
    const page = await pageOf(parts, query, { kind: 'alert', ...job });
    const items = page.items.map((record) => ({ ...resultItem(record), dataset: record.dataset }));
    return c.json({ items, next: String(page.next) }, 200);
  });
}

async function pageOf(
  { db, clock, fleet }: DatasetRoutesParts,
  query: z.output<z.ZodObject<typeof pageQuery>>,
  rows: Pick<ResultPage, 'kind' | 'dataset' | 'job'>,
): Promise<ResultSlice> {
  const { agent, limit } = query;
  const since = parseSince(query.since);
  const page: ResultPage = {
    ...rows,
    // A name stands for its id; what is unknown is taken as one, since results outlive agents.
    ...(agent === undefined ? {} : { agent: fleet.find(agent)?.id ?? agent }),
    ...(since === undefined ? {} : { since }),
    after: parseCursor(query.after) ?? 0,
    limit,
    latest: isSet(query.latest),
    newest: isSet(query.newest),
  };
  return await pageResults(db, page, () => clock.sleep(0));
}
