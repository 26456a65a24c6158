/**
 * Control entries: what is not a record and yet decides what jobs do, so that a replay is told the
 * same (DESIGN.md §6.3). Stored as JSON; a kind that this release does not know is skipped by
 * every job, and counts as an index all the same.
 */
export type ControlEntry =
  /** A timer of a job is due and no record came. */
  | { readonly kind: 'tick' }
  /** `connected`: records can come; not while it is held back, for longer than one commit. */
  | { readonly kind: 'source'; readonly source: string; readonly connected: boolean }
  /** Whether the device's clock is synchronised: at the start, and when it changes. */
  | { readonly kind: 'clock'; readonly synchronised: boolean }
  /** `to` takes over from `at`: what precedes it was `from`'s, what follows is `to`'s. */
  | {
      readonly kind: 'version';
      readonly job: string;
      readonly from: number | null;
      readonly to: number;
      readonly at: readonly [number, number];
    }
  | {
      readonly kind: 'parameters';
      readonly job: string;
      readonly version: number;
      readonly parameters: Readonly<Record<string, unknown>>;
      readonly at: readonly [number, number];
    };
