/** Tasks as a list that is read from top to bottom: in a given order, indented by depth. Pure. */

export interface TaskNeeds {
  readonly id: string;
  readonly needs: readonly string[];
}

/**
 * How many tasks stand before each on the longest way to it. Needs that are not in the list count
 * as none, and a cycle (which no job that was accepted has) ends where it closes.
 */
export function depthsOf(tasks: readonly TaskNeeds[]): ReadonlyMap<string, number> {
  const needs = new Map(tasks.map((task) => [task.id, task.needs]));
  const depths = new Map<string, number>();
  // Without recursion: a chain may be a thousand tasks long.
  for (const { id } of tasks) {
    const stack = [id];
    const open = new Set<string>();
    while (stack.length > 0) {
      const current = stack.at(-1) ?? id;
      const before = (needs.get(current) ?? []).filter((other) => needs.has(other));
      const missing = before.filter((other) => !depths.has(other) && !open.has(other));
      if (missing.length > 0 && !depths.has(current)) {
        open.add(current);
        stack.push(...missing);
        continue;
      }
      stack.pop();
      open.delete(current);
      if (depths.has(current)) continue;
      depths.set(
        current,
        before.reduce((depth, other) => Math.max(depth, (depths.get(other) ?? 0) + 1), 0),
      );
    }
  }
  return depths;
}

/** The task and everything behind it. */
export function behind(tasks: readonly TaskNeeds[], first: string): ReadonlySet<string> {
  const found = new Set([first]);
  for (let size = 0; size !== found.size;) {
    size = found.size;
    for (const { id, needs } of tasks) if (needs.some((need) => found.has(need))) found.add(id);
  }
  return found;
}
