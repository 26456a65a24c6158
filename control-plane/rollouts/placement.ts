/**
 * Which jobs an agent is to run: approved agents whose labels match the job's `placement.selector`
 * (without a placement every approved agent), that can run it (capabilities.ts), whose policy
 * allows it, and with parameters that fit what it declares. Pure.
 *
 * The judgement of policy is the device's own code over what the device reported; the device judges
 * again. An agent that does not report its policy is taken to allow everything, as it decides.
 */
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { type Selector } from '@runnel/shared/definitions/selector.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import type { PolicySubject } from '@runnel/shared/policy/check-policy.ts';
import { type DeviceRules, policySubject, refusalsOf } from '@runnel/shared/policy/device-rules.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import {
  type Declared,
  type LayeredValues,
  layeredValues,
  NO_LAYERS,
  type ParameterLayers,
} from '../definitions/parameter-layers.ts';
import type { PlacementVerdict } from '../http/parameter-messages.ts';
import { capabilitiesNeeded, missingOf, missingText } from './capabilities.ts';
import { declaredParameters } from '../definitions/declared-parameters.ts';
import { parseSelector, type Selectable, selects } from './selector.ts';

export interface PlacedJob {
  readonly name: string;
  readonly selector: Selector;
  /** Capabilities without which an agent does not get it. */
  readonly needs: readonly string[];
  /** With the parameters of an agent for which nobody set any. */
  readonly desired: DesiredJob;
  readonly declared: Declared;
  readonly layers: ParameterLayers;
  /** Why a device with these rules refuses it; empty when it may run. */
  readonly refusals: (rules: DeviceRules) => readonly string[];
  /** What is set for an agent; agents with the same layers share one. */
  readonly parametersOf: (agent: Selectable) => AgentValues;
}

export interface AgentValues extends LayeredValues {
  /** The same for agents with the same layers. */
  readonly key: string;
  /** No other agent has these: a layer is of this agent alone. */
  readonly isOwn: boolean;
}

export interface PlaceableJob {
  readonly name: string;
  readonly version: number;
  readonly hash: string;
  readonly document: unknown;
  readonly paused?: boolean;
}

/** A job that the selector would put on an agent which cannot run it, or has not said so. */
export interface BlockedJob {
  readonly name: string;
  readonly version: number;
  readonly verdict: Exclude<PlacementVerdict, 'ok'>;
  /** For people; at least one. */
  readonly reasons: readonly string[];
}

/** What an agent said of itself. */
export interface AgentFacts {
  /** Undefined before its first heartbeat. */
  readonly capabilities?: readonly string[] | undefined;
  /** Undefined when it does not say. */
  readonly rules?: DeviceRules | undefined;
  readonly agentVersion?: string | undefined;
  /** Jobs that it speaks of: it has them, whatever became of them. */
  readonly reportedJobs?: readonly { readonly name: string }[] | undefined;
}

export interface PlaceableAgent extends Selectable, AgentFacts {
  readonly status: string;
}

export interface JobOfAgent {
  readonly job: PlacedJob;
  readonly values: AgentValues;
}

export interface Placement {
  /** In the order of the jobs, as `blocked` is. */
  readonly placed: readonly JobOfAgent[];
  readonly blocked: readonly BlockedJob[];
}

/** Parses what placement needs of a job. Errors: `selector_invalid`, `definition_invalid`. */
export function placedJob(job: PlaceableJob, layers: ParameterLayers = NO_LAYERS): PlacedJob {
  const { name, version, hash, document } = job;
  const declared = declaredParameters(document);
  const isBatch = member(document, 'kind') === 'BatchJob';
  const parameters = layeredValues(declared, [], isBatch).given;
  return {
    name,
    selector: parseSelector(selectorOf(document) ?? ''),
    needs: capabilitiesNeeded(document),
    desired: { name, version, hash, document, parameters, paused: job.paused ?? false },
    declared,
    layers,
    refusals: refusalsBy(document),
    parametersOf: valuesBy(declared, layers, isBatch),
  };
}

/** Most devices of a fleet have the same policy: each is judged once. */
function refusalsBy(document: unknown): PlacedJob['refusals'] {
  const known = new WeakMap<DeviceRules, readonly string[]>();
  let subject: PolicySubject | undefined;
  return (rules) => {
    let reasons = known.get(rules);
    if (reasons === undefined) {
      subject ??= subjectOf(document);
      reasons = refusalsOf(subject, rules);
      known.set(rules, reasons);
    }
    return reasons;
  };
}

/** A document that does not parse asks for nothing: whoever compiles it says what is wrong. */
function subjectOf(document: unknown): PolicySubject {
  try {
    return policySubject(parseJobDocument(document));
  } catch (error) {
    if (error instanceof DefinitionError) return { sources: {}, sinks: [] };
    throw error;
  }
}

function valuesBy(
  declared: Declared,
  layers: ParameterLayers,
  isBatch: boolean,
): PlacedJob['parametersOf'] {
  const known = new Map<string, AgentValues>();
  return (agent) => {
    const chosen = layers.of(agent);
    const key = chosen.map(({ scope }) => scope).join('\n');
    const found = known.get(key);
    if (found !== undefined) return found;
    const isOwn = chosen.some(({ of }) => of.kind === 'agent');
    const values = { ...layeredValues(declared, chosen, isBatch), key, isOwn };
    // What one agent alone has would only take room here.
    if (!isOwn) known.set(key, values);
    return values;
  };
}

/** What becomes of each job whose selector chooses the agent. */
export function place(agent: PlaceableAgent, jobs: readonly PlacedJob[]): Placement {
  const placed: JobOfAgent[] = [];
  const blocked: BlockedJob[] = [];
  if (agent.status !== 'approved') return { placed, blocked };
  for (const job of jobs) {
    if (!selects(job.selector, agent)) continue;
    const values = job.parametersOf(agent);
    const refusal = refusalOf(agent, job, values);
    if (refusal === undefined || isKept(agent, job, refusal)) placed.push({ job, values });
    else {
      const { verdict, reasons } = refusal;
      blocked.push({ name: job.name, version: job.desired.version, verdict, reasons });
    }
  }
  return { placed, blocked };
}

/**
 * A device that has the job refuses a version by itself, and keeps what ran before with its state;
 * to take the job from it would lose both.
 */
function isKept(agent: PlaceableAgent, job: PlacedJob, { lacks }: Refusal): boolean {
  return !lacks && agent.reportedJobs?.some(({ name }) => name === job.name) === true;
}

interface Refusal extends Pick<BlockedJob, 'verdict' | 'reasons'> {
  /** It lacks a capability, or has not said. */
  readonly lacks: boolean;
}

/** Why an agent cannot run a job, undefined when it can; whether it has it already or not. */
export function refusalFor(agent: PlaceableAgent, job: PlacedJob): Refusal | undefined {
  return refusalOf(agent, job, job.parametersOf(agent));
}

/** Every reason at once, the kind of the hardest: what the device forbids, what it lacks. */
function refusalOf(
  { capabilities, rules }: AgentFacts,
  job: PlacedJob,
  { problems }: AgentValues,
): Refusal | undefined {
  const refused = rules === undefined ? [] : job.refusals(rules);
  const missing = missingOf(job.needs, capabilities);
  const lacks = missing !== undefined;
  const lacking = lacks && missing !== null ? [missingText(missing)] : [];
  const reasons = [...refused, ...lacking, ...problems];
  if (reasons.length > 0) {
    return { verdict: refused.length > 0 ? 'refused' : 'blocked', reasons, lacks };
  }
  return lacks ? { verdict: 'unknown', reasons: [missingText(null)], lacks } : undefined;
}

/** `placement.selector` of a job document; null where it has none. */
export function selectorOf(document: unknown): string | null {
  const selector = member(member(document, 'placement'), 'selector');
  return typeof selector === 'string' ? selector : null;
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
}
