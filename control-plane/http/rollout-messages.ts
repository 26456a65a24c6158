/**
 * Rollouts as the API and the page speak of them. Types only, as live-messages.ts is.
 *
 * Every change of what a job is to run is a rollout, also one without `rollout:` in its document
 * (one batch of all, nothing gated). `GET /api/v1/rollouts`, `GET /api/v1/jobs/{job}/rollout` (the
 * newest), `GET /api/v1/jobs/{job}/rollouts` (history), `GET /api/v1/jobs/{job}/rollout/agents`,
 * `POST /api/v1/jobs/{job}/rollout/{pause|resume|approve|abort|undo}`. Times are epoch ms.
 */
import type { ConnectionState } from './live-messages.ts';

export const ROLLOUT_PHASES = [
  /** Devices of the batch get the version, or are waited for. */
  'progressing',
  /** The batch is through; the pause before the next one runs, under the gate. */
  'soaking',
  /** A person has to approve the next batch. */
  'awaitingApproval',
  /** Stopped by a person or, with `onFailure: pause`, by its gate. */
  'suspended',
  /** The gate failed or a person undid it: devices go back to the last good version. */
  'rollingBack',
  'succeeded',
  'rolledBack',
  /** Ended by a person where it was. */
  'aborted',
  /** A newer version came before it ended. */
  'superseded',
] as const;
export type RolloutPhase = (typeof ROLLOUT_PHASES)[number];

/** `unknown`: not connected, so that nobody can say; it catches up when it returns. */
export const ROLLOUT_DEVICE_STATES = [
  'pending',
  'updating',
  'updated',
  'failed',
  'unknown',
] as const;
export type RolloutDeviceState = (typeof ROLLOUT_DEVICE_STATES)[number];

/** Of the version; in a rollback of the version that devices go back to. */
export interface RolloutCounts {
  readonly updated: number;
  /** Not yet given the version, or given it and not there yet. */
  readonly pending: number;
  readonly unknown: number;
  readonly failed: number;
}

export interface RolloutItem {
  readonly id: string;
  readonly job: string;
  readonly version: number;
  /** The last good version, to which a rollback goes; null when there is none. */
  readonly from: number | null;
  readonly phase: RolloutPhase;
  /** `n` from 1. */
  readonly batch: { readonly n: number; readonly of: number };
  readonly counts: RolloutCounts;
  /** One sentence for people: what it waits for, or why it ended as it did. */
  readonly reason: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** In this phase since. */
  readonly since: number;
  /** When the pause ends, where one runs. */
  readonly nextAt: number | null;
  /** Who began it: an actor's id; `rollback` when a gate did. */
  readonly by: string;
  /** Its gate, and not a person, suspended it or turned it back. */
  readonly byGate: boolean;
  /** It needs a person: suspended by its gate, awaiting approval, or not moving for long. */
  readonly stuck: boolean;
}

export interface RolloutAgentItem {
  readonly agent: string;
  readonly name: string;
  readonly connection: ConnectionState;
  /** From 1; null for one that came after the rollout was planned, and when it has ended. */
  readonly batch: number | null;
  readonly state: RolloutDeviceState;
  /** What it says it runs; null when it runs none. */
  readonly version: number | null;
  /** The version that it is told to run; null for none. */
  readonly desiredVersion: number | null;
  /** Why it failed or what is waited for; empty where all is well. */
  readonly reason: string;
}
