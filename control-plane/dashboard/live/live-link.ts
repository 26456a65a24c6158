/**
 * Performs what `link-state.ts` decides: the websocket, its retries, and the subscriptions, which
 * are sent again after every reconnect. Several parts of the page may want the same view; it is
 * subscribed once and ended with the last of them.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { LiveMessage, LiveRequest, LiveView } from '../../http/live-messages.ts';
import { initialLink, type LinkEvent, type LinkState, transition } from './link-state.ts';
import { Observable } from './observable.ts';

export interface LinkOptions {
  readonly url: string;
  readonly clock: Clock;
  /** A float in [0, 1). */
  readonly random: () => number;
  readonly onMessage: (message: LiveMessage) => void;
  /** A closed socket does not say why: asks whether the session still holds. */
  readonly isSignedIn: () => Promise<boolean>;
}

export class LiveLink {
  readonly state = new Observable<LinkState>(initialLink.state);
  readonly #options: LinkOptions;
  readonly #views = new Map<string, { view: LiveView; count: number }>();
  #socket: WebSocket | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  start(): void {
    this.#connect();
  }

  /** Once a second: notices silence and retries in time. */
  tick(): void {
    this.#step({ type: 'tick', random: this.#options.random() });
  }

  /** The page is seen again, or the network is back: no reason to wait for the next retry. */
  wake(): void {
    this.#step({ type: 'wake' });
  }

  signedOut(): void {
    this.#step({ type: 'signedOut' });
  }

  /** Wants `view` until the returned function is called. */
  want(view: LiveView): () => void {
    const id = JSON.stringify(view);
    const entry = this.#views.get(id) ?? { view, count: 0 };
    entry.count += 1;
    this.#views.set(id, entry);
    if (entry.count === 1) this.#send({ subscribe: view });
    return () => {
      entry.count -= 1;
      if (entry.count > 0) return;
      this.#views.delete(id);
      this.#send({ unsubscribe: view });
    };
  }

  #step(event: LinkEvent): void {
    const { state, effects } = transition(this.state.value, event, this.#options.clock.now());
    for (const effect of effects) if (effect === 'close') this.#drop();
    this.state.set(state);
    for (const effect of effects) if (effect === 'connect') this.#connect();
  }

  #connect(): void {
    this.#drop();
    const socket = new WebSocket(this.#options.url);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      if (socket !== this.#socket) return;
      for (const { view } of this.#views.values()) this.#send({ subscribe: view });
    });
    socket.addEventListener('message', (event) => {
      if (socket === this.#socket) this.#receive(String(event.data));
    });
    socket.addEventListener('close', () => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#step({ type: 'closed', random: this.#options.random() });
      void this.#checkSession();
    });
  }

  #receive(text: string): void {
    // The server and this page are of one release: the shape is the server's own type.
    const message = JSON.parse(text) as LiveMessage;
    this.#step({ type: 'message' });
    this.#options.onMessage(message);
  }

  async #checkSession(): Promise<void> {
    if (!(await this.#options.isSignedIn())) this.signedOut();
  }

  #send(request: LiveRequest): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(request));
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }
}
