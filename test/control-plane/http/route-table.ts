/**
 * Every route of the control plane and the least role that may ask it. A route that is not here
 * fails `routes.test.ts`: who adds one adds its line, `'METHOD /path/:name': 'role'`.
 */
export const RANK = ['nobody', 'viewer', 'operator', 'admin'] as const;
export type Needs = (typeof RANK)[number];

export const ROUTES: Readonly<Record<string, Needs>> = {
  'GET /healthz': 'nobody',
  'GET /readyz': 'nobody',
  'GET /metrics': 'viewer',
  'GET /signin': 'nobody',
  'GET /api/v1/openapi.json': 'nobody',
  'GET /install.sh': 'nobody',
  'GET /packages/manifest.json': 'nobody',
  'GET /packages/:name': 'nobody',

  'POST /api/v1/enroll': 'nobody',
  'POST /api/v1/renew/nonce': 'nobody',
  'POST /api/v1/renew': 'nobody',

  'GET /api/v1/me': 'viewer',
  'POST /api/v1/sign-out': 'viewer',
  'POST /api/v1/sign-in-links': 'viewer',
  'GET /api/v1/tokens': 'operator',
  'POST /api/v1/tokens': 'operator',
  'DELETE /api/v1/tokens/:id': 'operator',
  'GET /api/v1/audit': 'admin',
  'GET /api/v1/live': 'viewer',

  'GET /api/v1/agents': 'viewer',
  'GET /api/v1/agents/:agent': 'viewer',
  'PATCH /api/v1/agents/:agent': 'operator',
  'DELETE /api/v1/agents/:agent': 'admin',
  'POST /api/v1/agents/:agent/approve': 'operator',
  'POST /api/v1/agents/:agent/revoke': 'operator',
  'GET /api/v1/agents/:agent/events': 'viewer',
  'GET /api/v1/agents/:agent/parameters': 'viewer',
  'GET /api/v1/agents/:agent/host': 'viewer',

  'GET /api/v1/jobs': 'viewer',
  'POST /api/v1/jobs': 'operator',
  'POST /api/v1/jobs/validate': 'viewer',
  'GET /api/v1/jobs/:job': 'viewer',
  'DELETE /api/v1/jobs/:job': 'operator',
  'POST /api/v1/jobs/:job/pause': 'operator',
  'POST /api/v1/jobs/:job/resume': 'operator',
  'GET /api/v1/jobs/:job/parameters': 'viewer',
  'PATCH /api/v1/jobs/:job/parameters': 'operator',
  'GET /api/v1/jobs/:job/agents/:agent/parameters': 'viewer',
  'GET /api/v1/rollouts': 'viewer',
  'GET /api/v1/jobs/:job/rollout': 'viewer',
  'GET /api/v1/jobs/:job/rollouts': 'viewer',
  'GET /api/v1/jobs/:job/rollout/agents': 'viewer',
  'POST /api/v1/jobs/:job/rollout/pause': 'operator',
  'POST /api/v1/jobs/:job/rollout/resume': 'operator',
  'POST /api/v1/jobs/:job/rollout/approve': 'operator',
  'POST /api/v1/jobs/:job/rollout/abort': 'operator',
  'POST /api/v1/jobs/:job/rollout/undo': 'operator',
  'GET /api/v1/jobs/:job/versions': 'viewer',
  'GET /api/v1/jobs/:job/versions/:version': 'viewer',

  'GET /api/v1/runs': 'viewer',
  'POST /api/v1/runs': 'operator',
  'GET /api/v1/runs/:run': 'viewer',
  'GET /api/v1/runs/:run/logs': 'viewer',
  'POST /api/v1/runs/:run/cancel': 'operator',
  'POST /api/v1/runs/:run/rerun': 'operator',
  'POST /api/v1/runs/:run/clear': 'operator',
  'POST /api/v1/runs/:run/mark-success': 'operator',
  'POST /api/v1/backfills': 'operator',
  'POST /api/v1/backfills/:backfill/cancel': 'operator',

  'GET /api/v1/datasets': 'viewer',
  'GET /api/v1/datasets/:dataset/results': 'viewer',
  'GET /api/v1/alerts': 'viewer',
  'GET /api/v1/slas': 'viewer',
  'GET /api/v1/slas/history': 'viewer',
  'GET /api/v1/slas/compliance': 'viewer',
  'GET /api/v1/events': 'viewer',
};

/** What stands before routes and after them, and answers nothing by itself that needs a role. */
export const MIDDLEWARE: readonly string[] = ['/*', '/api/*'];
