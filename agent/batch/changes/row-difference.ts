/**
 * What became of one row, as Debezium names it:
 *
 *     state before ──▶ present                   c  u  d
 *     what an earlier run of this partition      where there is nothing to tell of the state
 *     had been compared with ──▶ present         before, yet that run may not have been taken
 *
 * Whoever has taken the events of either comes to the present row.
 */
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import type { Row } from '../tasks/task-services.ts';

export interface RowDifference {
  readonly op: 'c' | 'r' | 'u' | 'd';
  readonly before: Row | null;
  readonly after: Row | null;
}

export interface RowStates {
  readonly before?: Row | undefined;
  /** What the earlier run was compared with, or what it had seen. */
  readonly own?: Row | undefined;
  readonly now?: Row | undefined;
}

export interface Comparison {
  /** Every row that is there is read. */
  readonly isSnapshot: boolean;
  /** `own` is what an earlier run was compared with. */
  readonly hasOwn: boolean;
}

/** Undefined: there is nothing to tell. */
export function rowDifference(
  { before, own, now }: RowStates,
  { isSnapshot, hasOwn }: Comparison,
): RowDifference | undefined {
  if (isSnapshot && now !== undefined) return { op: 'r', before: null, after: now };
  return between(before, now) ?? (hasOwn ? between(own, now) : undefined);
}

export function between(old: Row | undefined, now: Row | undefined): RowDifference | undefined {
  if (now === undefined) {
    return old === undefined ? undefined : { op: 'd', before: old, after: null };
  }
  if (old === undefined) return { op: 'c', before: null, after: now };
  return textOf(old) === textOf(now) ? undefined : { op: 'u', before: old, after: now };
}

/** Null and nothing are one. */
function textOf(row: Row): string {
  return canonicalJson(
    Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
  );
}
