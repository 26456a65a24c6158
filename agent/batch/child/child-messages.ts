/**
 * What agent and child say to each other, one JSON message at a time. Both are of one release, so
 * there is no version and nothing is checked.
 *
 *     agent  request ─▶ child
 *     agent ◀─ ask      child     as often as it likes, one at a time
 *     agent  answer  ─▶ child
 *     agent ◀─ done | failed      the last word; the child then ends
 */
import type { ErrorClass } from '@runnel/shared/definitions/batch-job.ts';

export type ToChild =
  | {
      readonly type: 'request';
      readonly kind: string;
      readonly body: unknown;
      readonly memoryBytesMax: number;
    }
  | { readonly type: 'answer'; readonly value: unknown };

export type FromChild =
  | { readonly type: 'ask'; readonly question: unknown }
  | { readonly type: 'done'; readonly value: unknown }
  | {
      readonly type: 'failed';
      readonly class: ErrorClass;
      readonly code: string;
      readonly message: string;
      readonly hint: string | null;
    };

/** What a kind of work in the child gets beside its body. */
export interface ChildTools {
  /** Beyond it the agent ends the process. */
  readonly memoryBytesMax: number;
  /** Asks the agent, which answers with `ChildRequest.answer`. */
  ask(question: unknown): Promise<unknown>;
}

/** Throws a `TaskError`; anything else counts as its class `other`. */
export type ChildWork = (body: never, tools: ChildTools) => Promise<unknown>;
