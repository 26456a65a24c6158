/** Opens the promises of the fleet over what is known of it. */
import type { FleetView } from '../http/fleet-view.ts';
import type { FleetHealth } from '../intake/fleet-health.ts';
import type { DesiredState } from '../rollouts/desired-state.ts';
import { Slas, type SlasParts } from './slas.ts';

interface FleetParts extends Pick<SlasParts, 'db' | 'clock' | 'log'> {
  readonly health: FleetHealth;
  readonly desired: DesiredState;
  readonly fleet: FleetView;
}

export async function slasOf({ health, desired, fleet, ...rest }: FleetParts): Promise<Slas> {
  const parts: SlasParts = {
    ...rest,
    hearingSince: () => health.hearingSince(),
    report: (agent) => health.report(agent),
    forgetReports: (agent) => health.forget(agent),
    agentName: (agent) => fleet.find(agent)?.name ?? null,
    versionsOf: (agent) => desired.versionsOf(agent),
    job: (name) => fleet.job(name),
  };
  const agents = fleet.agents().map(({ id }) => id);
  return await Slas.open(parts, agents);
}
