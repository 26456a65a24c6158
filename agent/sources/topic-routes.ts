/**
 * Where a message at the embedded broker goes: the sources that take its topic, and whether any
 * local client ever subscribed to it.
 *
 * Answered once per topic and remembered with the topic object, until sources or subscriptions
 * change. Filters of clients are never forgotten while the broker runs (a persistent session may
 * be away): more than `FILTERS_MAX` of them, and every message counts as subscribed.
 */
import type { Taker } from './broker-message.ts';
import type { Topic } from './topic-cache.ts';
import { topicMatcher } from './topic-filter.ts';

export interface Route {
  /** Why nobody may publish here, or null. */
  readonly problem: string | null;
  readonly takers: readonly Taker[];
  readonly subscribed: boolean;
}

const FILTERS_MAX = 1000;
const LEVELS_MAX = 100;
/** What MQTT's length of a text can say. */
const BYTES_MAX = 65_535;

export class TopicRoutes {
  readonly #takers = new Set<Taker>();
  readonly #filters = new Map<string, (topic: string) => boolean>();
  #routes = new WeakMap<Topic, Route>();

  get takers(): ReadonlySet<Taker> {
    return this.#takers;
  }

  add(taker: Taker): void {
    this.#takers.add(taker);
    this.#routes = new WeakMap();
  }

  remove(taker: Taker): void {
    this.#takers.delete(taker);
    this.#routes = new WeakMap();
  }

  subscribed(filter: string): void {
    if (this.#filters.has(filter) || this.#filters.size > FILTERS_MAX) return;
    this.#filters.set(filter, topicMatcher(filter));
    this.#routes = new WeakMap();
  }

  of(topic: Topic): Route {
    let route = this.#routes.get(topic);
    if (route === undefined) {
      route = this.#find(topic.text);
      this.#routes.set(topic, route);
    }
    return route;
  }

  #find(topic: string): Route {
    return {
      problem: problemOf(topic),
      takers: [...this.#takers].filter((taker) => taker.matches(topic)),
      subscribed:
        this.#filters.size > FILTERS_MAX ||
        [...this.#filters.values()].some((matches) => matches(topic)),
    };
  }
}

function problemOf(topic: string): string | null {
  if (topic === '') return 'a publish without a topic';
  if (/[+#]/.test(topic)) return `a wildcard in the published topic ${topic}`;
  if (topic.startsWith('$SYS/')) return `a publish to ${topic}: $SYS/ is the broker's own`;
  if (Buffer.byteLength(topic) > BYTES_MAX) return `a topic of more than ${BYTES_MAX} bytes`;
  return topic.split('/').length > LEVELS_MAX ? 'a topic of more than 100 levels' : null;
}
