/**
 * Silences: alerts whose labels match a selector are held back from one time to another. Who is
 * silenced by several is silenced by the one that ends last. Bounded by `limits.silencesMax`.
 */
import { type Selector, selectorMatches } from '@runnel/shared/definitions/selector.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { randomId } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { Kysely } from 'kysely';
import type { SilenceItem } from '../http/alert-messages.ts';
import { parseSelector } from '../rollouts/selector.ts';
import type { Schema } from '../store/schema.ts';
import {
  deleteEndedSilences,
  deleteSilence,
  insertSilence,
  silencesAt,
} from '../store/silences.ts';

export interface SilencesParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  readonly random: Random;
}

interface Kept {
  readonly item: SilenceItem;
  readonly selector: Selector;
}

/** Ended ones stay this long, so that an alert's history can name them. */
const ENDED_KEPT_MS = 30 * 86_400_000;

export class Silences {
  readonly #parts: SilencesParts;
  #kept: readonly Kept[] = [];

  static async open(parts: SilencesParts): Promise<Silences> {
    const silences = new Silences(parts);
    const items = await silencesAt(parts.db, parts.clock.now());
    silences.#keep(items);
    return silences;
  }

  private constructor(parts: SilencesParts) {
    this.#parts = parts;
  }

  /** Those that have not ended, the one that ends first at the head. */
  list(): SilenceItem[] {
    const now = this.#parts.clock.now();
    return this.#kept.map(({ item }) => item).filter(({ until }) => until > now);
  }

  /** Ids of those that hold now: while this text is the same, no alert's silence changes. */
  holding(): string {
    return this.#holding()
      .map(({ item }) => item.id)
      .join(' ');
  }

  silencedBy(labels: ReadonlyMap<string, string>): string | null {
    const matching = this.#holding().filter(({ selector }) => selectorMatches(selector, labels));
    return matching.at(-1)?.item.id ?? null;
  }

  /** Errors: `selector_invalid`, `silence_invalid`, `silences_exhausted`. */
  async add(asked: Omit<SilenceItem, 'id'>): Promise<SilenceItem> {
    const { db, clock, random } = this.#parts;
    const selector = parseSelector(asked.selector);
    if (selector.terms.length === 0) {
      throw invalid('an empty selector would silence everything', 'for example job=press');
    }
    const { from, until } = asked;
    if (until <= Math.max(from, clock.now())) throw invalid('it ends before it begins');
    if (until - from > limits.silenceMsMax) {
      throw invalid(`a silence lasts at most ${durationText(limits.silenceMsMax)}`);
    }
    if (this.list().length >= limits.silencesMax) {
      throw new RunnelError('silences_exhausted', `there are ${limits.silencesMax} silences`, {
        hint: 'end some with runnel alerts unsilence ID',
      });
    }
    const item = { id: randomId(random, 10), ...asked };
    await insertSilence(db, item);
    this.#keep([...this.list(), item]);
    return item;
  }

  /** False when there is none that holds or will. */
  async remove(id: string): Promise<boolean> {
    const there = this.#kept.some(({ item }) => item.id === id);
    if (!there || !(await deleteSilence(this.#parts.db, id))) return false;
    this.#keep(this.list().filter((item) => item.id !== id));
    return true;
  }

  async forgetEnded(): Promise<void> {
    const { db, clock } = this.#parts;
    await deleteEndedSilences(db, clock.now() - ENDED_KEPT_MS);
  }

  #holding(): readonly Kept[] {
    const now = this.#parts.clock.now();
    return this.#kept.filter(({ item }) => item.from <= now && now < item.until);
  }

  #keep(items: readonly SilenceItem[]): void {
    this.#kept = items
      .toSorted((a, b) => a.until - b.until)
      .map((item) => ({ item, selector: parseSelector(item.selector) }));
  }
}

function invalid(message: string, hint?: string): RunnelError {
  return new RunnelError('silence_invalid', message, hint === undefined ? {} : { hint });
}
