/** Alerts, given the parts of a control plane that say what is wrong. */
import { join } from 'node:path';
import type { Clock } from '@runnel/shared/clock.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import { Alerting } from './alerts/alerting.ts';
import { type RolloutItems, rolloutSource } from './alerts/rollout-source.ts';
import { type SlaItems, slaSource } from './alerts/sla-source.ts';
import type { FleetView } from './http/fleet-view.ts';
import type { EventWriter } from './intake/event-writer.ts';
import type { FleetHealth } from './intake/fleet-health.ts';
import type { Schema } from './store/schema.ts';

export interface OpenAlertingParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly dataDir: string;
  readonly publicUrl: string | undefined;
  readonly offlineAlertAfterMs?: number;
  readonly fleet: FleetView;
  readonly health: FleetHealth;
  readonly events: EventWriter;
  readonly slas: SlaItems;
  readonly rollouts: RolloutItems;
}

export async function openAlerting(parts: OpenAlertingParts): Promise<Alerting> {
  const { db, clock, random, log, env, events, fleet, health } = parts;
  const agent = (id: string) => fleet.record(id);
  const alerting = await Alerting.open({
    ...{ db, clock, random, log, events, agent },
    agents: () => fleet.agents(),
    hasJob: (name) => fleet.job(name) !== undefined,
    report: (id) => health.report(id),
    unjudged: (id) => health.unjudged(id),
    hearsSinceMs: () => health.hearsSinceMs,
    offlineAfterMs: parts.offlineAlertAfterMs ?? limits.offlineAlertAfterMs,
    secrets: { env, folder: join(parts.dataDir, 'secrets') },
    page: (parts.publicUrl ?? '').replace(/\/+$/, ''),
  });
  alerting.attach(slaSource(parts.slas, agent, clock));
  alerting.attach(rolloutSource(parts.rollouts));
  return alerting;
}
