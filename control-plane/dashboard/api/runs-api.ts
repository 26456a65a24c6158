/** Requests about runs of batch jobs: what was reported, and what their devices are asked. */
import type { LogLine, RunState } from '@runnel/shared/protocol/runs.ts';
import type { RunDetail, RunItem } from '../../http/run-messages.ts';

export type Request = <T>(method: string, path: string, body?: unknown) => Promise<T>;

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
    const given = Object.entries(query).flatMap(([key, value]) =>
      value === undefined || value === null ? [] : [[key, String(value)]],
    );
    return this.#request('GET', `/runs?${new URLSearchParams(given).toString()}`);
  }

  one(id: string): Promise<RunDetail> {
    return this.#request('GET', pathOf(id));
  }

  logs(id: string, task: string | null, after: number): Promise<LogPage> {
    const query = new URLSearchParams({
      after: String(after),
      limit: '500',
      ...(task === null ? {} : { task }),
    });
    return this.#request('GET', `${pathOf(id)}/logs?${query.toString()}`);
  }

  async start(request: StartRequest): Promise<readonly AgentAnswer[]> {
    return (await this.#request<{ items: AgentAnswer[] }>('POST', '/runs', request)).items;
  }

  async backfill(request: BackfillRequest): Promise<readonly AgentAnswer[]> {
    return (await this.#request<{ items: AgentAnswer[] }>('POST', '/backfills', request)).items;
  }

  cancel(id: string): Promise<unknown> {
    return this.#request('POST', `${pathOf(id)}/cancel`, {});
  }

  /** From null: what did not succeed. */
  rerun(id: string, from: string | null): Promise<unknown> {
    return this.#request('POST', `${pathOf(id)}/rerun`, { from });
  }

  /** Task null: the whole run. */
  markSuccess(id: string, task: string | null): Promise<unknown> {
    return this.#request('POST', `${pathOf(id)}/mark-success`, { task });
  }
}

function pathOf(id: string): string {
  return `/runs/${encodeURIComponent(id)}`;
}
