/** Requests about runs of batch jobs: what was reported, and what their devices are asked. */
import type { LogLine, RunState } from '@runnel/shared/protocol/runs.ts';
import type { RunDetail, RunItem } from '../../http/run-messages.ts';
import { queryOf, type Request } from './request.ts';

/** Ids are random, but a device could report another's. */
export type RunKey = Pick<RunDetail, 'run' | 'agent'>;

export interface RunPage {
  readonly items: readonly RunItem[];
  readonly next: string | null;
}

export interface RunQuery {
  readonly job?: string | undefined;
  readonly agent?: string | null | undefined;
  readonly state?: RunState | null | undefined;
  readonly limit: number;
  readonly cursor?: string | null | undefined;
}

export interface LogPage {
  readonly items: readonly LogLine[];
  readonly next: number;
  readonly open: boolean;
}

/** What one device said to a command that went to many. */
export interface AgentAnswer {
  readonly agent: string;
  readonly name: string;
  readonly status: 'accepted' | 'refused' | 'timeout' | 'unreachable';
  readonly reason: string | null;
  readonly runs: readonly { readonly run: string; readonly partition: string }[];
  /** Of a dry run, in order. */
  readonly partitions: readonly string[];
}

interface Targets {
  readonly job: string;
  readonly agents: readonly string[];
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface StartRequest extends Targets {
  readonly partition: string | null;
  readonly fullRefresh: boolean;
}

export interface BackfillRequest extends Targets {
  readonly from: number;
  readonly to: number;
  readonly which: 'none' | 'failed' | 'all';
  readonly order: 'oldest' | 'newest';
  readonly maxActive: number;
  readonly dryRun: boolean;
}

export class RunsApi {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  /** Newest first. */
  list(query: RunQuery): Promise<RunPage> {
    return this.#request('GET', `/runs${queryOf({ ...query, limit: String(query.limit) })}`);
  }

  /** Agent null: where only one reports a run of this id. */
  one(id: string, agent: string | null): Promise<RunDetail> {
    return this.#request('GET', `${pathOf(id)}${queryOf({ agent })}`);
  }

  logs({ run, agent }: RunKey, task: string | null, after: number): Promise<LogPage> {
    const query = queryOf({ agent, after: String(after), limit: '500', task });
    return this.#request('GET', `${pathOf(run)}/logs${query}`);
  }

  async start(request: StartRequest): Promise<readonly AgentAnswer[]> {
    return (await this.#request<{ items: AgentAnswer[] }>('POST', '/runs', request)).items;
  }

  async backfill(request: BackfillRequest): Promise<readonly AgentAnswer[]> {
    return (await this.#request<{ items: AgentAnswer[] }>('POST', '/backfills', request)).items;
  }

  cancel(run: RunKey): Promise<unknown> {
    return this.#act(run, 'cancel', {});
  }

  /** From null: what did not succeed. */
  rerun(run: RunKey, from: string | null): Promise<unknown> {
    return this.#act(run, 'rerun', { from });
  }

  rerunAll(run: RunKey): Promise<unknown> {
    return this.#act(run, 'rerun', { all: true });
  }

  /** Task null: the whole run. */
  markSuccess(run: RunKey, task: string | null): Promise<unknown> {
    return this.#act(run, 'mark-success', { task });
  }

  #act({ run, agent }: RunKey, action: string, body: object): Promise<unknown> {
    return this.#request('POST', `${pathOf(run)}/${action}${queryOf({ agent })}`, body);
  }
}

function pathOf(id: string): string {
  return `/runs/${encodeURIComponent(id)}`;
}
