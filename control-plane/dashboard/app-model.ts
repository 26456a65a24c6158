/**
 * What the whole page shares: the API, the live link, the fleet, the ticking clock, who is signed
 * in. Built once in `main.tsx`; components reach it through `useApp`.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type {
  AgentDetail,
  AttentionItem,
  LiveMessage,
  LiveView,
  ResultItem,
} from '../http/live-messages.ts';
import type { RunDetail, RunItem } from '../http/run-messages.ts';
import { ApiClient } from './api/api-client.ts';
import type { MeItem } from './api/api-items.ts';
import { applyMessage, emptyFleet, type FleetState } from './fleet/fleet-state.ts';
import { LiveLink } from './live/live-link.ts';
import { isStale } from './live/link-state.ts';
import { Observable } from './live/observable.ts';

export interface AppOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly liveUrl: string;
}

export class AppModel {
  readonly fleet = new Observable<FleetState>(emptyFleet);
  /** What needs a person; null before it was first asked for. */
  readonly attention = new Observable<AttentionItem | null>(null);
  readonly me = new Observable<MeItem | null>(null);
  /** The server's clock as far as known, once a second: what ages are counted from. */
  readonly now: Observable<number>;
  readonly stale = new Observable(true);
  readonly signedOut = new Observable(false);
  readonly api: ApiClient;
  readonly link: LiveLink;
  readonly #clock: Clock;
  readonly #listeners = new Set<(message: LiveMessage) => void>();

  constructor({ clock, random, liveUrl }: AppOptions) {
    this.#clock = clock;
    this.now = new Observable<number>(clock.now());
    this.api = new ApiClient(() => this.endSession());
    this.link = new LiveLink({
      url: liveUrl,
      clock,
      random,
      onMessage: (message) => this.#receive(message),
      isSignedIn: () => this.api.isSignedIn(),
    });
    this.link.state.subscribe(() => this.#judgeStaleness());
  }

  async start(): Promise<void> {
    const tick = (): void => {
      this.#tick();
      this.#clock.after(1000, tick);
    };
    tick();
    this.link.start();
    await this.loadMe();
  }

  /** A viewer is shown no buttons that would be refused; until it is known, none. */
  async loadMe(): Promise<void> {
    try {
      this.me.set(await this.api.me());
    } catch (error) {
      // Signed out is told by the client itself; anything else mends itself at the next contact.
      console.warn('who is signed in is not known yet', error);
    }
  }

  endSession(): void {
    this.signedOut.set(true);
    this.link.signedOut();
  }

  async signOut(): Promise<void> {
    await this.api.signOut();
    this.endSession();
  }

  /** Follows one agent: the newest whole view of it, about once a second. */
  followAgent(id: string, onAgent: (agent: AgentDetail) => void): () => void {
    return this.#follow({ view: 'agent', id }, (message) => {
      if (message.type === 'agent' && message.agent.id === id) onAgent(message.agent);
    });
  }

  /** Follows the results of one dataset. The socket may repeat rows; readers merge. */
  followDataset(dataset: string, onItems: (items: readonly ResultItem[]) => void): () => void {
    return this.#follow({ view: 'dataset', dataset }, (message) => {
      if (message.type === 'results' && message.dataset === dataset) onItems(message.items);
    });
  }

  /** Runs of a job that change; `more`: too many changed to be told, read them again. */
  followRuns(job: string, onRuns: (items: readonly RunItem[], more: boolean) => void): () => void {
    return this.#follow({ view: 'runs', job }, (message) => {
      if (message.type === 'runs' && message.job === job) onRuns(message.items, message.more);
    });
  }

  /** Follows one run by its whole id and that of its agent. */
  followRun(run: string, agent: string, onRun: (run: RunDetail) => void): () => void {
    return this.#follow({ view: 'run', run, agent }, (message) => {
      if (message.type !== 'run') return;
      if (message.run.run === run && message.run.agent === agent) onRun(message.run);
    });
  }

  /** Keeps `attention` new, until the returned function is called. */
  followAttention(): () => void {
    return this.#follow({ view: 'attention' }, (message) => {
      if (message.type === 'attention') this.attention.set(message);
    });
  }

  /** Calls `run` each time contact is there again after it was lost. */
  onContact(run: () => void): () => void {
    return this.stale.subscribe(() => {
      if (!this.stale.value) run();
    });
  }

  #follow(view: LiveView, listener: (message: LiveMessage) => void): () => void {
    this.#listeners.add(listener);
    const unwant = this.link.want(view);
    return () => {
      this.#listeners.delete(listener);
      unwant();
    };
  }

  #receive(message: LiveMessage): void {
    this.fleet.set(applyMessage(this.fleet.value, message, this.#clock.now()));
    if (message.type === 'error') console.warn('the control plane refused a view', message);
    for (const listener of this.#listeners) listener(message);
  }

  #tick(): void {
    this.link.tick();
    this.now.set(this.#clock.now() + this.fleet.value.clockOffsetMs);
    this.#judgeStaleness();
  }

  #judgeStaleness(): void {
    const was = this.stale.value;
    this.stale.set(isStale(this.link.state.value, this.#clock.now()));
    if (was && !this.stale.value && this.me.value === null) void this.loadMe();
  }
}
