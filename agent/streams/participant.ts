/**
 * Whatever has something to say in a commit: sources, jobs, outbox, local delivery, dead letters.
 * The cycle asks all of them within one transaction, tells all of them when it is on disk, and has
 * all of them forget and read again when it failed.
 */
import type { StoreTx } from '../checkpoints/checkpoint-store.ts';
import type { StreamItem } from './stream-item.ts';

export interface StageContext {
  /** Counts up from 1 within the process. */
  readonly commit: number;
  /** `now` of the newest journal item. */
  readonly now: number;
}

export interface Participant {
  /** Whether a commit would write anything of this. */
  readonly isDirty: boolean;
  /** Whether that should not wait for a token. */
  readonly isUrgent?: boolean;
  stage(tx: StoreTx, context: StageContext): void;
  /** The commit is on disk. */
  committed(commit: number): void;
  /** The commit failed: everything that is not on disk is gone. */
  reload(): void;
  /**
   * The store is full: removes what can be done without, before the journal has to. False when
   * there is nothing of it.
   */
  relieve?(tx: StoreTx): boolean;
}

/** The jobs, as the cycle sees them. */
export interface JobsInCycle extends Participant {
  /** Items that have just come in, for the live jobs. */
  process(items: readonly StreamItem[]): void;
  /** The journal has the gathered blocks: jobs that are close enough become live. */
  join(): void;
  nextTickMs(): number | undefined;
  /** The oldest block that the journal must keep. */
  readonly keepFrom: number;
}

/** The sources, as the cycle sees them. */
export interface SourcesInCycle extends Participant {
  /** There is room again. */
  resume(): void;
  /** The journal may not grow: sources of jobs that block are not read. */
  block(blocked: boolean): void;
}
