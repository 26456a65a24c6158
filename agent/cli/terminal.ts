/** What commands may touch of the world: so they run in tests as they run for people. */
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';

export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** The built verify-store.js, which reads a store through after an unclean stop. */
  readonly verifyEntry: string;
  /** The built task-child.js; by default it stands beside verify-store.js. */
  readonly childEntry?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of SIGINT and SIGTERM, which then do nothing else; the returned function stops that. */
  readonly onInterrupt: (listener: () => void) => () => void;
}

/** Text of others, such as names, as one line that does nothing to a terminal. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
}
