/** Who is told of heartbeats and of verdicts on connections. */
import type { Logger } from 'pino';
import type { Alerting } from './alerts/alerting.ts';
import type { Http } from './http/create-http.ts';
import type { HostHistory } from './http/host-history.ts';
import type { FleetHealth } from './intake/fleet-health.ts';
import type { DesiredState } from './rollouts/desired-state.ts';
import type { Rollouts } from './rollouts/rollouts.ts';
import type { Slas } from './sla/slas.ts';

interface Listeners {
  readonly health: FleetHealth;
  readonly hosts: HostHistory;
  readonly hub: Http['hub'];
  readonly slas: Slas;
  readonly rollouts: Rollouts;
  readonly alerting: Alerting;
  readonly desired: DesiredState;
  readonly log: Logger;
}

export function listenTo(listeners: Listeners): void {
  const { health, hosts, hub, slas, rollouts, alerting, desired, log } = listeners;
  health.onChange((agent, change, at) => {
    const host = change === 'beat' ? health.report(agent).heartbeat?.host : undefined;
    if (host !== undefined) hosts.add(agent, at, host);
    hub.agentChanged(agent);
    rollouts.deviceChanged(agent);
    slas.heard(agent);
    alerting.agentChanged(agent);
    desired.reported(agent).catch((error: unknown) => {
      log.error({ agent, err: error }, 'an agent was not placed anew; its next heartbeat tries');
    });
  });
}
