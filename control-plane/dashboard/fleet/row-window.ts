/**
 * Which rows of a long list are rendered: those in sight and a few beyond, so that 10,000 devices
 * cost no more than 40. Rows have one height; that makes positions exact and scrolling calm.
 */
export interface RowWindow {
  /** First rendered row, inclusive. */
  readonly first: number;
  /** First row after the rendered ones. */
  readonly end: number;
}

/** Rows beyond the edge, so that keyboard focus and fast scrolling always meet rendered rows. */
const BEYOND = 8;

/** `top` is how far the list's first row is above the viewport's upper edge, in pixels. */
export function rowWindow(
  count: number,
  rowHeight: number,
  top: number,
  viewHeight: number,
): RowWindow {
  const first = Math.floor(top / rowHeight) - BEYOND;
  const end = Math.ceil((top + viewHeight) / rowHeight) + BEYOND;
  const clamp = (row: number): number => Math.min(count, Math.max(0, row));
  return { first: clamp(first), end: clamp(end) };
}
