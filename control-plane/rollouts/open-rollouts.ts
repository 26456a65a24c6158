/** Rollouts, composed with the parts that know of them and come to be after them. */
import type { FleetView } from '../http/fleet-view.ts';
import type { LiveHub } from '../http/live-hub.ts';
import type { FleetHealth } from '../intake/fleet-health.ts';
import type { Slas } from '../sla/slas.ts';
import type { DesiredState } from './desired-state.ts';
import { Rollouts, type RolloutsParts } from './rollouts.ts';

/** What is not there yet is not told yet. */
interface Later {
  readonly desired?: DesiredState;
  readonly fleet?: FleetView;
  readonly http?: { readonly hub: LiveHub };
  readonly slas?: Slas;
}

type Given = Pick<RolloutsParts, 'db' | 'clock' | 'random' | 'log' | 'events'>;

const NOTHING: ReadonlyMap<string, number> = new Map();

/** Errors: `store_version`. */
export async function openRollouts({
  health,
  later,
  ...given
}: Given & { readonly health: FleetHealth; readonly later: Later }): Promise<Rollouts> {
  return await Rollouts.open({
    ...given,
    hearing: () => health.hearing,
    facts: (agent) => health.facts(agent),
    sights: {
      report: (agent) => health.report(agent),
      hasSpoken: (agent) => health.hasSpoken(agent),
      desired: {
        revisionOf: (agent) => later.desired?.revisionOf(agent) ?? 0,
        versionsOf: (agent) => later.desired?.versionsOf(agent) ?? NOTHING,
      },
      slaVerdicts: (agent, job) => later.slas?.board.verdictsOf(agent, job) ?? [],
    },
    desired: {
      recomputeAll: async () => await later.desired?.recomputeAll(),
      recomputeSome: async (agents) => await later.desired?.recomputeSome(agents),
    },
    jobsChanged: async () => {
      await later.fleet?.refreshJobs();
      await later.desired?.recomputeAll();
      later.http?.hub.jobsChanged();
    },
  });
}
