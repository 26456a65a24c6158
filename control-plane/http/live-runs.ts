/**
 * The views `runs` and `run` of the websocket: who watches what, and what changed since the last
 * message. A change is kept as the run's key alone, so that a run that changes a hundred times in
 * a second is read and sent once.
 *
 * Bound: changed runs that wait; beyond it they are dropped and the views are told to ask again.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import type { RunChange } from '../intake/apply-runs.ts';
import type { RunKey } from '../store/runs.ts';
import type { LiveMessage, LiveView } from './live-messages.ts';
import type { RunDetail, RunItem } from './run-messages.ts';

export type RunsView = Extract<LiveView, { view: 'runs' | 'run' }>;

export interface LiveRunsParts<Client> {
  /** Runs of these keys, newest first; those that are gone are missing. */
  readonly read: (keys: readonly RunKey[]) => Promise<readonly RunItem[]>;
  /** Errors: `not_found`, `run_conflict`. */
  readonly detail: (run: string, agent: string | undefined) => Promise<RunDetail>;
  readonly send: (client: Client, message: LiveMessage) => void;
  readonly now: () => number;
}

const CHANGED_MAX = 500;

/** Keys by which a view is known on one connection. */
const nameOf = (view: RunsView): string =>
  view.view === 'run' ? `run ${view.run} ${view.agent ?? ''}` : `runs ${view.job ?? ''}`;

export class LiveRuns<Client extends object> {
  readonly #parts: LiveRunsParts<Client>;
  /** Each by how it was asked for; a run with the agent that reports it. */
  readonly #views = new Map<Client, Map<string, RunsView>>();
  #changed = new Map<string, RunChange>();
  #more = false;

  constructor(parts: LiveRunsParts<Client>) {
    this.#parts = parts;
  }

  /** Whether there is something to send. */
  get touched(): boolean {
    return this.#views.size > 0 && (this.#changed.size > 0 || this.#more);
  }

  viewsOf(client: Client): number {
    return this.#views.get(client)?.size ?? 0;
  }

  has(client: Client, view: RunsView): boolean {
    return this.#views.get(client)?.has(nameOf(view)) ?? false;
  }

  changed(changes: readonly RunChange[]): void {
    if (this.#views.size === 0) return;
    for (const change of changes) this.#changed.set(`${change.agent} ${change.run}`, change);
    if (this.#changed.size <= CHANGED_MAX) return;
    this.#changed.clear();
    this.#more = true;
  }

  /** Answers with what is there now. Errors: those of `detail`. */
  async watch(client: Client, view: RunsView): Promise<void> {
    const at = this.#parts.now();
    if (view.view === 'runs') {
      this.#add(client, nameOf(view), view);
      const job = view.job ?? null;
      this.#parts.send(client, { type: 'runs', at, job, items: [], more: false });
      return;
    }
    const run = await this.#parts.detail(view.run, view.agent);
    // It may have been asked for by the beginning of its id.
    const whole = { ...view, run: run.run };
    this.#add(client, nameOf(whole), { ...whole, agent: run.agent });
    this.#parts.send(client, { type: 'run', at, run });
  }

  unwatch(client: Client, view: RunsView): void {
    this.#remove(client, nameOf(view));
  }

  #remove(client: Client, name: string): void {
    const views = this.#views.get(client);
    views?.delete(name);
    if (views?.size === 0) this.#views.delete(client);
  }

  forget(client: Client): void {
    this.#views.delete(client);
  }

  async send(): Promise<void> {
    const changes = [...this.#changed.values()];
    const more = this.#more;
    this.#changed = new Map();
    this.#more = false;
    if (this.#views.size === 0 || (changes.length === 0 && !more)) return;
    const watchers = [...this.#views].flatMap(([client, views]) =>
      [...views].map(([name, view]) => ({ client, name, view })),
    );
    const items = watchers.some(({ view }) => view.view === 'runs')
      ? await this.#parts.read(changes)
      : [];
    for (const { client, name, view } of watchers) {
      if (view.view === 'runs') this.#sendList(client, view.job ?? null, items, more);
      else if (more || changes.some((each) => each.run === view.run && each.agent === view.agent)) {
        await this.#sendOne(client, name, view);
      }
    }
  }

  #add(client: Client, name: string, view: RunsView): void {
    const views = this.#views.get(client) ?? new Map<string, RunsView>();
    views.set(name, view);
    this.#views.set(client, views);
  }

  #sendList(client: Client, job: string | null, items: readonly RunItem[], more: boolean): void {
    const own = job === null ? items : items.filter((item) => item.job === job);
    if (own.length === 0 && !more) return;
    this.#parts.send(client, { type: 'runs', at: this.#parts.now(), job, items: own, more });
  }

  /** A run that retention took is watched no more. */
  async #sendOne(
    client: Client,
    name: string,
    view: Extract<RunsView, { view: 'run' }>,
  ): Promise<void> {
    try {
      const run = await this.#parts.detail(view.run, view.agent);
      this.#parts.send(client, { type: 'run', at: this.#parts.now(), run });
    } catch (error) {
      if (!(error instanceof RunnelError)) throw error;
      this.#remove(client, name);
    }
  }
}
