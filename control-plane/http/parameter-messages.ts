/**
 * What the resources of parameters and the reply to an apply carry. Types only, as
 * live-messages.ts: the server and the page both import this file.
 *
 * Values stand as people wrote them (a duration as `30s`). An origin is `default` (the job's own)
 * or the scope of a layer: `fleet`, `label:<selector>`, `site:<name>`, `agent:<id>`.
 */

/** A parameter as the job's current version declares it. */
export interface ParameterDeclaration {
  readonly name: string;
  /** Null where a JSON Schema says what the value may be. */
  readonly type: string | null;
  readonly schema: unknown;
  /** Absent when the job gives none: every device must be given one. */
  readonly default?: unknown;
  readonly description: string | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly values: readonly unknown[] | null;
}

export interface LayerValue {
  readonly name: string;
  readonly value: unknown;
  readonly setAt: number;
  readonly setBy: string;
  /** Why the current version cannot use it, or null. */
  readonly problem: string | null;
}

export interface ParameterLayerItem {
  /** `fleet`, `label:<selector>`, `site:<name>` or `agent:<id>`. */
  readonly scope: string;
  readonly kind: 'fleet' | 'label' | 'site' | 'agent';
  /** The name of the agent of an `agent` layer that is there, or null. */
  readonly agentName: string | null;
  /** Approved agents that the layer applies to. */
  readonly agents: number;
  readonly values: readonly LayerValue[];
}

/** `GET /api/v1/jobs/{job}/parameters`; weakest layer first. */
export interface JobParameters {
  readonly job: string;
  readonly version: number;
  readonly declared: readonly ParameterDeclaration[];
  readonly layers: readonly ParameterLayerItem[];
}

/** A value that a stronger layer hides. */
export interface OverriddenValue {
  readonly origin: string;
  readonly value: unknown;
  /** It is as strong as the one that won: two labels, which their text put in order. */
  readonly tied: boolean;
}

export interface EffectiveParameter {
  readonly value: unknown;
  readonly origin: string;
  /** Strongest first; the job's own default last. */
  readonly overridden: readonly OverriddenValue[];
}

/** `GET /api/v1/jobs/{job}/agents/{agent}/parameters`. */
export interface AgentJobParameters {
  readonly job: string;
  readonly version: number;
  readonly agent: string;
  readonly agentName: string;
  readonly parameters: Readonly<Record<string, EffectiveParameter>>;
  /** Why the job cannot run there with these values; empty when it can. */
  readonly problems: readonly string[];
}

/** `GET /api/v1/agents/{agent}/parameters`: of each job that is to run there. */
export interface AgentParameters {
  readonly agent: string;
  readonly agentName: string;
  readonly jobs: readonly AgentJobParameters[];
}

/**
 * Whether a job can run on an agent that its selector chooses: `ok`; `unknown` (it has not said yet
 * what it can run); `blocked` (it lacks a capability, or a parameter has no fitting value);
 * `refused` (the device's own policy forbids it).
 */
export type PlacementVerdict = 'ok' | 'unknown' | 'blocked' | 'refused';

export interface PlacementItem {
  readonly agent: string;
  readonly name: string;
  readonly verdict: PlacementVerdict;
  readonly reasons: readonly string[];
}

/** Of the reply to `POST /api/v1/jobs`. */
export interface PlacementReport {
  readonly counts: Readonly<Record<PlacementVerdict, number>>;
  /** Those that cannot run it first, by name; cut to a bound, the counts are not. */
  readonly items: readonly PlacementItem[];
}
