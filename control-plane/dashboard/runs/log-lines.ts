/** Lines of a run's log as they are read page by page. Pure. */
import type { LogLine } from '@runnel/shared/protocol/runs.ts';

/** Kept in the page; the oldest go, and it says so. */
export const LOG_LINES_MAX = 5000;

export interface LogState {
  readonly lines: readonly LogLine[];
  /** Where to go on. */
  readonly after: number;
  /** The run may write more. */
  readonly open: boolean;
  /** Lines that are not shown because there were too many. */
  readonly cut: number;
}

export const emptyLog: LogState = { lines: [], after: 0, open: true, cut: 0 };

export function appendLog(
  log: LogState,
  page: { readonly items: readonly LogLine[]; readonly next: number; readonly open: boolean },
): LogState {
  const fresh = page.items.filter(({ n }) => n > log.after);
  const lines = fresh.length === 0 ? log.lines : [...log.lines, ...fresh];
  const over = Math.max(0, lines.length - LOG_LINES_MAX);
  return {
    lines: over === 0 ? lines : lines.slice(over),
    after: Math.max(log.after, page.next),
    open: page.open,
    cut: log.cut + over,
  };
}
