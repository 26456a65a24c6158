/** What the simulator and its worker processes say to each other. */
import type { MadeRows } from './light-outbox.ts';

/** The fleet's part that one worker plays, and how. */
export interface WorkerPart {
  readonly first: number;
  readonly count: number;
  readonly heartbeatMs: number;
  readonly resultsMs: number;
  readonly duplicates: number;
  /** Each device's clock is off by up to this much, either way. */
  readonly skewMs: number;
}

export type ToWorker =
  | {
      readonly do: 'enrol';
      readonly part: WorkerPart;
      readonly url: string;
      readonly token: string;
    }
  /** Power-on of every agent, spread over this time. */
  | { readonly do: 'start'; readonly overMs: number }
  /** For this time: a share of agents drops out and returns, a share holds its results back. */
  | {
      readonly do: 'disturb';
      readonly forMs: number;
      readonly dropOuts: number;
      readonly late: number;
    }
  /** Makes no more rows and sends what waits; answered by `drained`. */
  | { readonly do: 'drain' }
  /** Ends every agent; answered by `tally`. */
  | { readonly do: 'stop' };

/** Something that an agent reached, by the simulator's clock. */
export interface Moment {
  readonly what: 'enrolled' | 'synced' | `running ${number}`;
  readonly agent: number;
  readonly at: number;
}

/** What one agent made. */
export interface AgentTally {
  readonly agent: string;
  readonly index: number;
  readonly made: readonly MadeRows[];
}

export interface WorkerCounters {
  connects: number;
  cuts: number;
  restarts: number;
  lostAnswers: number;
  sentTwice: number;
  rowsSent: number;
  blocksSent: number;
}

export type FromWorker =
  | { readonly say: 'moments'; readonly moments: readonly Moment[] }
  | { readonly say: 'drained' }
  | {
      readonly say: 'tally';
      readonly agents: readonly AgentTally[];
      readonly counters: WorkerCounters;
    }
  | { readonly say: 'failed'; readonly message: string };
