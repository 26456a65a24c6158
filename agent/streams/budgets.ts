/** What the agent may keep on disk and in memory, by default. */
import { limits } from '@runnel/shared/limits.ts';
import { LINGER_AUTO, type PaceSettings } from './commit-pace.ts';
import { GATHER_BOUNDS, type GatherBounds } from './gather.ts';

export interface Budgets {
  /** Disk budget of the store. */
  readonly storeBytesMax: number;
  readonly journalBytesMax: number;
  readonly journalAgeMsMax: number;
  readonly outboxBytesMax: number;
  /** Each local sink. */
  readonly sinkBytesMax: number;
  readonly deadLettersMax: number;
  /** Cached state in memory. */
  readonly stateBytesMax: number;
  readonly gather: GatherBounds;
  readonly pace: PaceSettings;
}

export const BUDGETS: Budgets = {
  storeBytesMax: limits.storeBytesMax,
  journalBytesMax: limits.journalBytesMax,
  journalAgeMsMax: limits.journalAgeMsMax,
  outboxBytesMax: limits.outboxBytesMax,
  sinkBytesMax: 16 * 1024 * 1024,
  deadLettersMax: limits.deadLettersMax,
  stateBytesMax: 32 * 1024 * 1024,
  gather: GATHER_BOUNDS,
  pace: LINGER_AUTO,
};
