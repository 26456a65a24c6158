/**
 * Shapes of the smaller resources of the API that only the page's REST calls read. Agents, jobs and
 * results have theirs in `http/live-messages.ts`, since the websocket carries them too.
 */
import type { Severity } from '../../http/live-messages.ts';

export interface MeItem {
  readonly role: 'viewer' | 'operator' | 'admin';
}

/** Something that happened: a transition, not a measurement. */
export interface EventItem {
  readonly id: number;
  readonly at: number;
  /** The agent's id. */
  readonly agent: string | null;
  readonly job: string | null;
  readonly type: string;
  readonly severity: Severity;
  readonly message: string;
}

export interface VersionItem {
  readonly version: number;
  readonly hash: string;
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface VersionDetail extends VersionItem {
  readonly document: unknown;
  /** The text as it was submitted. */
  readonly source: string;
}

export interface TokenItem {
  readonly id: string;
  readonly token: string;
  readonly enrollCommand: string;
  /** One line for any device; without archives of the agent the reason why there is none. */
  readonly install: { readonly command: string | null; readonly problem: string | null };
  readonly expiresAt: number | null;
}
