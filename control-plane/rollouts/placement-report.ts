/** What a person who submits a job should know of where it will and will not run. Pure. */
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type {
  PlacementItem,
  PlacementReport,
  PlacementVerdict,
} from '../http/parameter-messages.ts';
import { unusedValues } from '../definitions/parameter-layers.ts';
import { type PlaceableAgent, type PlacedJob, refusalFor } from './placement.ts';
import { selects } from './selector.ts';

const NAMED_MAX = 5;
/** What a person must look at comes first. */
const ORDER: readonly PlacementVerdict[] = ['refused', 'blocked', 'unknown', 'ok'];

/** Over the approved agents that the selector chooses; `agents` in the order of names. */
export function placementReport(
  job: PlacedJob,
  agents: readonly PlaceableAgent[],
): PlacementReport {
  const items: PlacementItem[] = agents
    .filter((agent) => agent.status === 'approved' && selects(job.selector, agent))
    .map((agent) => {
      const { verdict = 'ok', reasons = [] } = refusalFor(agent, job) ?? {};
      return { agent: agent.id, name: agent.name, verdict, reasons };
    });
  const ordered = ORDER.flatMap((verdict) => items.filter((item) => item.verdict === verdict));
  const count = (verdict: PlacementVerdict): number =>
    items.filter((item) => item.verdict === verdict).length;
  return {
    counts: {
      ok: count('ok'),
      unknown: count('unknown'),
      blocked: count('blocked'),
      refused: count('refused'),
    },
    items: ordered.slice(0, limits.placementsToldMax),
  };
}

/** One text for agents that cannot run it, one for those that did not say; none when all can. */
export function placementWarnings(job: PlacedJob, report: PlacementReport): string[] {
  const unused = unusedValues(job.declared, job.layers);
  if (unused.length === 0) return agentWarnings(job, report);
  const named = unused.slice(0, NAMED_MAX).join(', ');
  const more = unused.length > NAMED_MAX ? ` and ${unused.length - NAMED_MAX} more` : '';
  return [
    ...agentWarnings(job, report),
    `it does not declare parameters that are set, which are not used: ${named}${more}`,
  ];
}

function agentWarnings({ selector }: PlacedJob, { counts, items }: PlacementReport): string[] {
  const lacking = counts.refused + counts.blocked;
  const all = lacking + counts.unknown + counts.ok;
  if (all === 0) {
    return selector.terms.length === 0 ? [] : ['its selector chooses no agent: it runs nowhere'];
  }
  const of = `of ${all} ${all === 1 ? 'agent' : 'agents'}`;
  const warnings: string[] = [];
  if (lacking > 0) {
    const named = items.slice(0, Math.min(NAMED_MAX, lacking)).map(reasonText);
    const more = lacking > NAMED_MAX ? `; and ${lacking - NAMED_MAX} more` : '';
    const nowhere = lacking === all ? ': it runs nowhere' : '';
    warnings.push(
      `${lacking} ${of} cannot run it and will not get it (${named.join('; ')}${more})${nowhere}`,
    );
  }
  if (counts.unknown > 0) {
    warnings.push(
      `${counts.unknown} ${of} did not say yet what can run there; the job comes there when it can`,
    );
  }
  return warnings;
}

/** Error `placement_conflict`: a device that the selector chooses cannot run the job. */
export function refuseUnplaced(name: string, { counts, items }: PlacementReport): void {
  const count = counts.refused + counts.blocked;
  if (count === 0) return;
  const named = items.slice(0, Math.min(NAMED_MAX, count)).map(reasonText);
  const more = count > NAMED_MAX ? `; and ${count - NAMED_MAX} more` : '';
  throw new RunnelError(
    'placement_conflict',
    `${count} ${count === 1 ? 'agent' : 'agents'} cannot run ${name}: ${named.join('; ')}${more}`,
    { hint: 'nothing was stored; change the job, its selector or the devices' },
  );
}

function reasonText({ name, reasons }: PlacementItem): string {
  return `${name}: ${reasons.join(', ')}`;
}
