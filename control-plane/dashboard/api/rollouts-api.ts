/** Requests about rollouts: how far each is, what it did on each device, what to do with it. */
import type { RolloutAgentItem, RolloutItem } from '../../http/rollout-messages.ts';
import type { Request } from './request.ts';

export type RolloutAction = 'pause' | 'resume' | 'approve' | 'abort' | 'undo';

interface Items<T> {
  readonly items: readonly T[];
}

export class RolloutsApi {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  /** The newest one of the job. */
  newest(job: string): Promise<RolloutItem> {
    return this.#request('GET', `${pathOf(job)}/rollout`);
  }

  /** Newest first. */
  async history(job: string): Promise<readonly RolloutItem[]> {
    return (await this.#request<Items<RolloutItem>>('GET', `${pathOf(job)}/rollouts`)).items;
  }

  /** Of the newest one. */
  async agents(job: string): Promise<readonly RolloutAgentItem[]> {
    const path = `${pathOf(job)}/rollout/agents`;
    return (await this.#request<Items<RolloutAgentItem>>('GET', path)).items;
  }

  act(job: string, action: RolloutAction): Promise<unknown> {
    return this.#request('POST', `${pathOf(job)}/rollout/${action}`, {});
  }
}

function pathOf(job: string): string {
  return `/jobs/${encodeURIComponent(job)}`;
}
