/**
 * The view `attention` of the websocket: what needs a person, sent whole to whoever watches. It is
 * bounded, so that a delta would save little, and a page that missed one is right with the next.
 * What changed nothing that is shown is not sent again.
 */
import type { AttentionItem } from './live-messages.ts';

export interface LiveAttentionParts<Client> {
  readonly read: () => AttentionItem | Promise<AttentionItem>;
  readonly send: (client: Client, text: string) => void;
  readonly now: () => number;
}

export class LiveAttention<Client extends object> {
  readonly #parts: LiveAttentionParts<Client>;
  /** Each with what it was sent last, without the time. */
  readonly #watching = new Map<Client, string>();
  #changed = false;

  constructor(parts: LiveAttentionParts<Client>) {
    this.#parts = parts;
  }

  /** Whether there may be something to send. */
  get touched(): boolean {
    return this.#changed && this.#watching.size > 0;
  }

  has(client: Client): boolean {
    return this.#watching.has(client);
  }

  changed(): void {
    this.#changed = this.#watching.size > 0;
  }

  /** Answers with how things are now. */
  async watch(client: Client): Promise<void> {
    this.#watching.set(client, '');
    this.#sendTo([client], await this.#parts.read());
  }

  unwatch(client: Client): void {
    this.#watching.delete(client);
  }

  async send(): Promise<void> {
    if (!this.touched) return;
    this.#changed = false;
    const item = await this.#parts.read();
    this.#sendTo([...this.#watching.keys()], item);
  }

  #sendTo(clients: readonly Client[], item: AttentionItem): void {
    const content = JSON.stringify(item);
    const text = `{"type":"attention","at":${this.#parts.now()},${content.slice(1)}`;
    for (const client of clients) {
      // It may have gone while things were read.
      if ((this.#watching.get(client) ?? content) === content) continue;
      this.#watching.set(client, content);
      this.#parts.send(client, text);
    }
  }
}
