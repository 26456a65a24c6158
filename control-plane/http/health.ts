/** `/healthz`, `/readyz` without a token; `/metrics` for viewers. */
import { messageOf } from '@runnel/shared/errors.ts';
import { type MetricFamily, renderPrometheus } from './metrics.ts';
import type { RoleGuards } from './role-guards.ts';
import { newRouter, type Router } from './router.ts';

/** One thing that must work before requests can be served. */
export interface ReadyCheck {
  readonly name: string;
  /** Throws, with the reason, when it does not work. */
  readonly check: () => Promise<void> | void;
}

export interface HealthParts {
  readonly checks: readonly ReadyCheck[];
  readonly families: () => readonly MetricFamily[];
  readonly guards: RoleGuards;
}

export function healthRoutes(parts: HealthParts): Router {
  const router = newRouter();
  /** Alive: the process answers. It says nothing of what it depends on. */
  router.get('/healthz', (c) => c.json({ status: 'ok' }));

  router.get('/readyz', async (c) => {
    const results = await Promise.all(parts.checks.map(run));
    const ready = results.every((result) => result.ok);
    return c.json({ status: ready ? 'ok' : 'unavailable', checks: results }, ready ? 200 : 503);
  });

  router.get('/metrics', parts.guards.viewer, (c) => {
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    return c.body(renderPrometheus(parts.families()));
  });
  return router;
}

async function run({ name, check }: ReadyCheck) {
  try {
    await check();
    return { name, ok: true };
  } catch (error) {
    return { name, ok: false, reason: messageOf(error) };
  }
}
