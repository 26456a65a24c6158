/**
 * The agent's conditions: one per type, each with severity, reason, message and since when.
 * Setting the same severity and reason again keeps `since`, so that repeating is free of noise.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { Condition } from '@runnel/shared/protocol/condition.ts';

export type ConditionInput = Omit<Condition, 'since'>;

export class Conditions {
  readonly #clock: Clock;
  readonly #byType = new Map<string, Condition>();
  readonly #listeners = new Set<(condition: Condition) => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Raises or changes a condition; listeners hear of a change of severity or reason only. */
  set(input: ConditionInput): void {
    const old = this.#byType.get(input.type);
    const same = old?.severity === input.severity && old.reason === input.reason;
    const condition = { ...input, since: same ? old.since : this.#clock.now() };
    this.#byType.set(input.type, condition);
    if (!same) for (const listener of this.#listeners) listener(condition);
  }

  /** Removes a condition; listeners hear it once as severity `ok`. */
  clear(type: string): void {
    const old = this.#byType.get(type);
    if (old === undefined) return;
    this.#byType.delete(type);
    const gone: Condition = { ...old, severity: 'ok', reason: 'Cleared', since: this.#clock.now() };
    for (const listener of this.#listeners) listener(gone);
  }

  /** Worst first, then by type. */
  list(): Condition[] {
    const rank = { error: 0, warning: 1, info: 2, ok: 3 };
    return [...this.#byType.values()].toSorted(
      (a, b) => rank[a.severity] - rank[b.severity] || a.type.localeCompare(b.type),
    );
  }

  /** Returns the function that stops listening. */
  onChange(listener: (condition: Condition) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
