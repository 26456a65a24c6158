import type { AgentItem } from '../http/live-messages.ts';
import { allPages } from './all-pages.ts';
import type { Context } from './context.ts';

/** Names of agents by id; an agent that is gone goes by its id. */
export class AgentNames {
  readonly #context: Context;
  readonly #names = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
  }

  of(id: string): string {
    return this.#names.get(id) ?? id;
  }

  /** Asks once for ids it has not seen, so that a follower asks again for new devices only. */
  async learn(ids: readonly string[]): Promise<void> {
    if (ids.every((id) => this.#names.has(id))) return;
    for (const id of ids) this.#names.set(id, id);
    for (const { id, name } of await allPages<AgentItem>(this.#context, '/agents')) {
      this.#names.set(id, name);
    }
  }
}
