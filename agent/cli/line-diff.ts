/**
 * Compares what came out with what was expected: lists in order, each expected item as far as it is
 * given. The diff keeps the longest common part, so that one line too many shows as that line.
 */

/** Whether `found` has everything that `wanted` says; lists must have the same length. */
export function matches(wanted: unknown, found: unknown): boolean {
  if (wanted === found) return true;
  if (typeof wanted !== 'object' || typeof found !== 'object') return false;
  if (wanted === null || found === null) return false;
  if (Array.isArray(wanted) || Array.isArray(found)) {
    return (
      Array.isArray(wanted) &&
      Array.isArray(found) &&
      wanted.length === found.length &&
      wanted.every((item, index) => matches(item, found[index]))
    );
  }
  return Object.entries(wanted).every(
    ([key, value]) =>
      Object.hasOwn(found, key) && matches(value, (found as Record<string, unknown>)[key]),
  );
}

/** Lines that begin with blanks (both), `- ` (expected) or `+ ` (found); none if all match. */
export function lineDiff(wanted: readonly unknown[], found: readonly unknown[]): string[] {
  const common = commonLengths(wanted, found);
  const lines: string[] = [];
  let equal = true;
  let [at, to] = [0, 0];
  while (at < wanted.length || to < found.length) {
    const both = at < wanted.length && to < found.length;
    if (both && matches(wanted[at], found[to])) {
      lines.push(`  ${JSON.stringify(found[to])}`);
      at += 1;
      to += 1;
      continue;
    }
    equal = false;
    const skipWanted = to >= found.length || (both && common[at + 1]![to]! >= common[at]![to + 1]!);
    if (skipWanted) {
      lines.push(`- ${JSON.stringify(wanted[at])}`);
      at += 1;
    } else {
      lines.push(`+ ${JSON.stringify(found[to])}`);
      to += 1;
    }
  }
  return equal ? [] : lines;
}

/** How many items match, at most, from each pair of places on. */
function commonLengths(wanted: readonly unknown[], found: readonly unknown[]): number[][] {
  const row = (): number[] => Array.from({ length: found.length + 1 }, () => 0);
  const lengths = Array.from({ length: wanted.length + 1 }, row);
  for (let at = wanted.length - 1; at >= 0; at -= 1) {
    for (let to = found.length - 1; to >= 0; to -= 1) {
      lengths[at]![to] = matches(wanted[at], found[to])
        ? lengths[at + 1]![to + 1]! + 1
        : Math.max(lengths[at + 1]![to]!, lengths[at]![to + 1]!);
    }
  }
  return lengths;
}
