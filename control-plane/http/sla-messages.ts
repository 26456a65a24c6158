/**
 * SLAs as the API and the page speak of them. Types only, as live-messages.ts is.
 *
 * `GET /api/v1/slas?job=&agent=&verdict=`, `GET /api/v1/slas/history?job=&sla=&agent=&since=`,
 * `GET /api/v1/slas/compliance?job=&over=`. Times are epoch ms.
 */
export const SLA_VERDICTS = [
  'met',
  /** Kept so far, and not for long if nothing changes. */
  'atRisk',
  'breached',
  /** The device cannot be heard: nobody here can say, which is not the same as late. */
  'unreachable',
] as const;
export type SlaVerdict = (typeof SLA_VERDICTS)[number];

export type SlaKindName =
  | 'freshness'
  | 'deadline'
  | 'duration'
  | 'successRate'
  | 'completeness'
  | 'deliveryLag';

export interface SlaItem {
  readonly job: string;
  /** The agent's id; null for a promise of the whole fleet (completeness). */
  readonly agent: string | null;
  /** Its name, for people. */
  readonly agentName: string | null;
  readonly sla: string;
  readonly kind: SlaKindName;
  readonly verdict: SlaVerdict;
  readonly since: number;
  /** One sentence: what was measured against what was promised. */
  readonly cause: string;
  /** For people: `2m`, `99.5% over 1h`, `06:00 Europe/Paris`. */
  readonly target: string;
  /** What the device itself says while it cannot be reached from here: the last it said. */
  readonly deviceVerdict: SlaVerdict | null;
}

/** `agent` is null in a line for the whole job. */
export interface SlaComplianceItem {
  readonly job: string;
  readonly agent: string | null;
  readonly sla: string;
  readonly kind: SlaKindName;
  /** Share of the known time in which it was met (at risk counts as met), 0 to 1; null: none. */
  readonly compliance: number | null;
  /** The objective of the promise, 0 to 1. */
  readonly objective: number;
  /** Share of the error budget that is left, below 0 when it is overspent. */
  readonly budgetLeft: number | null;
  readonly breaches: number;
  readonly breachedMs: number;
  /** Time in which the device could not be heard and did not tell later. */
  readonly unreachableMs: number;
  readonly knownMs: number;
  readonly from: number;
  readonly to: number;
}

/** An interval `[from, to)` in one verdict; `to` is null of the one that lasts. */
export interface SlaIntervalItem {
  readonly job: string;
  readonly agent: string | null;
  readonly sla: string;
  readonly verdict: SlaVerdict;
  readonly cause: string;
  readonly from: number;
  readonly to: number | null;
  /** Who judged: the device (also while it was offline) or the control plane. */
  readonly judge: 'device' | 'control-plane';
}

/** How many promises (job, agent, sla) have each verdict. */
export type SlaCounts = Readonly<Record<SlaVerdict, number>>;
