/** Requests about SLAs: what is promised and kept now, and what became of it over time. */
import type {
  SlaComplianceItem,
  SlaIntervalItem,
  SlaItem,
  SlaVerdict,
} from '../../http/sla-messages.ts';
import { queryOf, type Request } from './request.ts';

interface Items<T> {
  readonly items: readonly T[];
}

/** `truncated`: there is more than one answer holds, and of the earliest time some is missing. */
interface Cut<T> extends Items<T> {
  readonly truncated: boolean;
}

export interface SlaQuery {
  readonly job?: string | null;
  readonly agent?: string | null;
  readonly verdict?: SlaVerdict | null;
}

export interface SlaHistoryQuery {
  readonly job: string;
  readonly sla: string;
  readonly agent?: string | null;
  /** Epoch ms. */
  readonly since: number;
}

export class SlasApi {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  async list(query: SlaQuery): Promise<readonly SlaItem[]> {
    return (await this.#request<Items<SlaItem>>('GET', `/slas${queryOf({ ...query })}`)).items;
  }

  /** `over` as a duration: `24h`. */
  compliance(job: string, over: string): Promise<Cut<SlaComplianceItem>> {
    return this.#request('GET', `/slas/compliance${queryOf({ job, over })}`);
  }

  history(query: SlaHistoryQuery): Promise<Cut<SlaIntervalItem>> {
    const path = `/slas/history${queryOf({ ...query, since: String(query.since) })}`;
    return this.#request('GET', path);
  }
}
