/** Requests about alerts: what is open, what was, who is told, and what is held back. */
import type {
  AlertItem,
  AlertSource,
  AlertState,
  NotificationItem,
  ReceiverItem,
  SilenceItem,
} from '../../http/alert-messages.ts';
import { queryOf, type Request } from './request.ts';

interface Items<T> {
  readonly items: readonly T[];
}

/** More open alerts than this are cut; nobody looks through them one by one. */
const ALERTS_MAX = 1000;

export interface AlertQuery {
  /** `open`: every state but resolved. */
  readonly state?: AlertState | 'open' | null;
  readonly severity?: AlertItem['severity'] | null;
  readonly source?: AlertSource | null;
  readonly job?: string | null;
  readonly agent?: string | null;
}

export interface SilenceRequest {
  readonly selector: string;
  /** Epoch ms. */
  readonly until: number;
  readonly comment: string;
}

/** A secret that is not named stays as it is; null takes it away. */
export type ReceiverInput = Pick<
  ReceiverItem,
  'kind' | 'selector' | 'severity' | 'sendResolved' | 'settings'
> & { readonly secrets: Readonly<Record<string, unknown>> };

export class AlertsApi {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  async list(query: AlertQuery): Promise<readonly AlertItem[]> {
    const path = `/alerts${queryOf({ ...query, limit: String(ALERTS_MAX) })}`;
    return (await this.#request<Items<AlertItem>>('GET', path)).items;
  }

  acknowledge(id: string): Promise<unknown> {
    return this.#request('POST', `${pathOf(id)}/acknowledge`, {});
  }

  unacknowledge(id: string): Promise<unknown> {
    return this.#request('POST', `${pathOf(id)}/unacknowledge`, {});
  }

  async silences(): Promise<readonly SilenceItem[]> {
    return (await this.#request<Items<SilenceItem>>('GET', '/silences')).items;
  }

  silence(request: SilenceRequest): Promise<unknown> {
    return this.#request('POST', '/silences', request);
  }

  endSilence(id: string): Promise<unknown> {
    return this.#request('DELETE', `/silences/${encodeURIComponent(id)}`);
  }

  async receivers(): Promise<readonly ReceiverItem[]> {
    return (await this.#request<Items<ReceiverItem>>('GET', '/receivers')).items;
  }

  /** Error: 409 where there is one of this name. */
  addReceiver(name: string, input: ReceiverInput): Promise<ReceiverItem> {
    return this.#request('PUT', receiverPath(name), input, { 'if-none-match': '*' });
  }

  /** Takes the place of the one of this name. */
  setReceiver(name: string, input: ReceiverInput): Promise<ReceiverItem> {
    return this.#request('PUT', receiverPath(name), input);
  }

  deleteReceiver(name: string): Promise<unknown> {
    return this.#request('DELETE', receiverPath(name));
  }

  /** Sends a test message; what came of it is in the answer. */
  testReceiver(name: string): Promise<NotificationItem> {
    return this.#request('POST', `${receiverPath(name)}/test`, {});
  }

  async notifications(): Promise<readonly NotificationItem[]> {
    return (await this.#request<Items<NotificationItem>>('GET', '/notifications')).items;
  }
}

function receiverPath(name: string): string {
  return `/receivers/${encodeURIComponent(name)}`;
}

function pathOf(id: string): string {
  return `/alerts/${encodeURIComponent(id)}`;
}
