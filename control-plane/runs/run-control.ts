/**
 * Starts runs on devices and acts on those that there are. The device decides and does; here is who
 * is asked, and what they said. Nothing is stored: what becomes of a run is reported by its device.
 *
 * Refused before any device is asked: a job that is no batch job, and one that is placed on none of
 * the chosen agents. Of several agents each answers for itself.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import { findAgent } from '../http/find-agent.ts';
import type { FleetView } from '../http/fleet-view.ts';
import { notFound } from '../http/problem.ts';
import type { DesiredState } from '../rollouts/desired-state.ts';
import { parseSelector, selects } from '../rollouts/selector.ts';
import type { AgentRecord } from '../store/agents.ts';
import type { BatchRequest, DeviceCommands } from './device-commands.ts';

export interface RunControlParts {
  readonly fleet: FleetView;
  readonly desired: Pick<DesiredState, 'versionsOf' | 'blockedOf'>;
  readonly commands: Pick<DeviceCommands, 'ask'>;
}

/** Named agents, or those that a selector chooses among the ones that have the job. */
export type RunTargets =
  | { readonly agents: readonly string[] }
  | { readonly agents?: undefined; readonly selector: string };

export type AnswerStatus = 'accepted' | 'refused' | 'timeout' | 'unreachable';

export interface AgentAnswer {
  readonly agent: string;
  readonly name: string;
  /** `timeout`: it was asked, gave no answer, and may still do it. */
  readonly status: AnswerStatus;
  readonly reason: string | null;
  readonly runs: BatchOutcome['runs'];
  readonly partitions: readonly string[];
  /** Of a backfill that began: its id, by which it is cancelled. */
  readonly backfill: string | null;
  /** Of a backfill: partitions of its range that it passes by. */
  readonly skipped: NonNullable<BatchOutcome['skipped']> | null;
}

export class RunControl {
  readonly #parts: RunControlParts;

  constructor(parts: RunControlParts) {
    this.#parts = parts;
  }

  /**
   * Asks each agent at the same time, once `before` has resolved: it is given the ids of all that
   * were chosen, and what it throws asks nobody. Errors: `not_found`, `agents_not_found`,
   * `agents_out_of_range`, `agent_name_conflict`, `selector_invalid`, `job_kind_conflict`,
   * `job_not_placed_conflict`.
   */
  async start(
    job: string,
    targets: RunTargets,
    request: Extract<BatchRequest, { action: 'run' | 'backfill' }>,
    before: (agents: readonly string[]) => Promise<void>,
  ): Promise<AgentAnswer[]> {
    this.#refuseOtherKinds(job);
    const agents = this.#chosen(job, targets);
    const reasons = agents.map((agent) => this.#notPlaced(job, agent));
    const [first] = reasons;
    if (typeof first === 'string' && reasons.every((reason) => reason !== undefined)) {
      throw new RunnelError('job_not_placed_conflict', first);
    }
    await before(agents.map(({ id }) => id));
    return await Promise.all(
      agents.map(async (agent, index): Promise<AgentAnswer> => {
        const reason = reasons[index];
        if (reason !== undefined) return answerOf(agent, 'refused', reason);
        return await this.#askOne(agent, request);
      }),
    );
  }

  async #askOne(agent: AgentRecord, request: BatchRequest): Promise<AgentAnswer> {
    try {
      const outcome = await this.#parts.commands.ask(agent.id, request);
      const { runs, partitions, backfill = null, skipped = null } = outcome;
      return { ...answerOf(agent, 'accepted', null), runs, partitions, backfill, skipped };
    } catch (error) {
      if (!(error instanceof RunnelError)) throw error;
      const { message, fields } = error;
      const why = typeof fields.why === 'string' ? fields.why : message;
      return answerOf(agent, outcomeOf(error), why);
    }
  }

  #refuseOtherKinds(name: string): void {
    const job = this.#parts.fleet.job(name);
    if (job === undefined) throw notFound('job', name);
    if (job.kind === 'BatchJob') return;
    throw new RunnelError('job_kind_conflict', `${name} is a ${job.kind}: it has no runs`, {
      hint: 'runs are of batch jobs: see runnel get jobs',
    });
  }

  #chosen(job: string, targets: RunTargets): AgentRecord[] {
    const { fleet, desired } = this.#parts;
    const most = limits.commandAgentsMax;
    if (targets.agents !== undefined) {
      const agents = targets.agents.map((each) => findAgent(fleet, each));
      return [...new Map(agents.map((agent) => [agent.id, agent])).values()];
    }
    const selector = parseSelector(targets.selector);
    const matching = fleet
      .agents()
      .filter((agent) => agent.status === 'approved' && selects(selector, fleet.placeable(agent)));
    if (matching.length === 0) {
      throw new RunnelError('agents_not_found', 'the selector chooses no agent', {
        hint: `try it: runnel get agents -l ${JSON.stringify(targets.selector)}`,
      });
    }
    const placed = matching.filter(({ id }) => desired.versionsOf(id).has(job));
    if (placed.length > most) {
      throw new RunnelError('agents_out_of_range', `${placed.length} agents; at most ${most}`, {
        hint: 'choose fewer with a narrower selector',
      });
    }
    return placed.length === 0 ? matching.slice(0, 1) : placed;
  }

  /** Why the agent does not have the job; undefined when it has. */
  #notPlaced(job: string, agent: AgentRecord): string | undefined {
    const { desired } = this.#parts;
    if (desired.versionsOf(agent.id).has(job)) return undefined;
    const blocked = desired.blockedOf(agent.id).get(job);
    const why = blocked === undefined ? whyNotChosen(agent) : blocked.reasons.join('; ');
    return `${job} is not placed on ${agent.name}: ${why}`;
  }
}

function whyNotChosen({ status }: AgentRecord): string {
  return status === 'approved' ? "the job's selector does not choose it" : `it is ${status}`;
}

function answerOf(
  { id, name }: AgentRecord,
  status: AgentAnswer['status'],
  reason: string | null,
): AgentAnswer {
  const nothing = { runs: [], partitions: [], backfill: null, skipped: null };
  return { agent: id, name, status, reason, ...nothing };
}

/** What became of a command that failed. */
export function outcomeOf({ code, fields }: RunnelError): Exclude<AnswerStatus, 'accepted'> {
  if (code === 'device_refused') return 'refused';
  return fields.outcome === 'timeout' || fields.outcome === 'unanswered'
    ? 'timeout'
    : 'unreachable';
}
