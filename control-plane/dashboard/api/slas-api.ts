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
  async compliance(job: string, over: string): Promise<readonly SlaComplianceItem[]> {
    const path = `/slas/compliance${queryOf({ job, over })}`;
    return (await this.#request<Items<SlaComplianceItem>>('GET', path)).items;
  }

  async history(query: SlaHistoryQuery): Promise<readonly SlaIntervalItem[]> {
    const path = `/slas/history${queryOf({ ...query, since: String(query.since) })}`;
    return (await this.#request<Items<SlaIntervalItem>>('GET', path)).items;
  }
}
