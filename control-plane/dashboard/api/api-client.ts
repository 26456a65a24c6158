/**
 * The page's requests to `/api/v1`, on the session's cookie. Errors are the server's own words
 * (problem+json); 401 anywhere means that the session is over, and is told once to the page.
 */
import type { AgentDetail, HostPoint, JobDetail, ResultItem } from '../../http/live-messages.ts';
import type { Request } from './request.ts';
import { RolloutsApi } from './rollouts-api.ts';
import type { AgentJobParameters, JobParameters } from '../../http/parameter-messages.ts';
import { RunsApi } from './runs-api.ts';
import { SlasApi } from './slas-api.ts';
import { AlertsApi } from './alerts-api.ts';
import type { EventItem, MeItem, TokenItem, VersionDetail, VersionItem } from './api-items.ts';

export interface FieldIssue {
  /** `parameters.limit`, `settings.to[1]`. */
  readonly path: string;
  readonly message: string;
}

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** What is wrong with which field of what was sent, where that is known. */
  readonly issues: readonly FieldIssue[];

  constructor(
    status: number,
    code: string,
    message: string,
    { issues = [], ...options }: ErrorOptions & { readonly issues?: readonly FieldIssue[] } = {},
  ) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.issues = issues;
  }
}

interface Page<T> {
  readonly items: readonly T[];
}

export interface TokenRequest {
  readonly role: 'agent';
  readonly labels: Readonly<Record<string, string>>;
  readonly uses: number;
  readonly expiresMs: number;
}

export interface ParameterChange {
  readonly scope: string;
  readonly set?: Readonly<Record<string, unknown>>;
  readonly unset?: readonly string[];
}

export class ApiClient {
  readonly runs: RunsApi;
  readonly rollouts: RolloutsApi;
  readonly slas: SlasApi;
  readonly alerts: AlertsApi;
  readonly #onSignedOut: () => void;

  constructor(onSignedOut: () => void) {
    this.#onSignedOut = onSignedOut;
    const request: Request = (...asked) => this.#request(...asked);
    this.runs = new RunsApi(request);
    this.rollouts = new RolloutsApi(request);
    this.slas = new SlasApi(request);
    this.alerts = new AlertsApi(request);
  }

  me(): Promise<MeItem> {
    return this.#get('/me');
  }

  agent(id: string): Promise<AgentDetail> {
    return this.#get(`/agents/${part(id)}`);
  }

  async agentEvents(id: string): Promise<readonly EventItem[]> {
    return (await this.#get<Page<EventItem>>(`/agents/${part(id)}/events?limit=100`)).items;
  }

  async agentHost(id: string): Promise<readonly HostPoint[]> {
    return (await this.#get<Page<HostPoint>>(`/agents/${part(id)}/host`)).items;
  }

  approve(id: string): Promise<unknown> {
    return this.#request('POST', `/agents/${part(id)}/approve`);
  }

  revoke(id: string): Promise<unknown> {
    return this.#request('POST', `/agents/${part(id)}/revoke`);
  }

  job(name: string): Promise<JobDetail> {
    return this.#get(`/jobs/${part(name)}`);
  }

  pauseJob(name: string): Promise<unknown> {
    return this.#request('POST', `/jobs/${part(name)}/pause`);
  }

  resumeJob(name: string): Promise<unknown> {
    return this.#request('POST', `/jobs/${part(name)}/resume`);
  }

  async jobVersions(name: string): Promise<readonly VersionItem[]> {
    return (await this.#get<Page<VersionItem>>(`/jobs/${part(name)}/versions`)).items;
  }

  /** With its document and its text as it was submitted. */
  jobVersion(name: string, version: number): Promise<VersionDetail> {
    return this.#get(`/jobs/${part(name)}/versions/${version}`);
  }

  /** What the job declares, and what each layer of the fleet sets. */
  jobParameters(name: string): Promise<JobParameters> {
    return this.#get(`/jobs/${part(name)}/parameters`);
  }

  /** One layer, all of it or nothing; `scope` as in `ParameterLayerItem`, agents by name too. */
  changeParameters(name: string, change: ParameterChange): Promise<JobParameters> {
    return this.#request('PATCH', `/jobs/${part(name)}/parameters`, change);
  }

  /** What holds on one device, and where each value is from. */
  agentJobParameters(name: string, agent: string): Promise<AgentJobParameters> {
    return this.#get(`/jobs/${part(name)}/agents/${part(agent)}/parameters`);
  }

  /** The newest results, in insertion order. */
  async newestResults(dataset: string): Promise<readonly ResultItem[]> {
    const path = `/datasets/${part(dataset)}/results?newest=true&limit=1000`;
    return (await this.#get<Page<ResultItem>>(path)).items;
  }

  /** The newest one of a device, or none. */
  async newestResultOf(dataset: string, agent: string): Promise<readonly ResultItem[]> {
    const query = new URLSearchParams({ agent, newest: 'true', limit: '1' }).toString();
    const path = `/datasets/${part(dataset)}/results?${query}`;
    return (await this.#get<Page<ResultItem>>(path)).items;
  }

  async events(): Promise<readonly EventItem[]> {
    return (await this.#get<Page<EventItem>>('/events?limit=200')).items;
  }

  createToken(request: TokenRequest): Promise<TokenItem> {
    return this.#request('POST', '/tokens', request);
  }

  signOut(): Promise<unknown> {
    return this.#request('POST', '/sign-out');
  }

  /** False only when the server says so; a server that cannot be reached says nothing. */
  async isSignedIn(): Promise<boolean> {
    try {
      await this.me();
      return true;
    } catch (error) {
      return !(error instanceof ApiError && error.status === 401);
    }
  }

  #get<T>(path: string): Promise<T> {
    return this.#request('GET', path);
  }

  async #request<T>(
    method: string,
    path: string,
    body?: unknown,
    more: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`/api/v1${path}`, {
        method,
        credentials: 'same-origin',
        headers: { accept: 'application/json', ...(body === undefined ? {} : JSON_TYPE), ...more },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new ApiError(0, 'no_contact', 'The control plane cannot be reached.', { cause: error });
    }
    const text = await response.text();
    if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T;
    const problem = readProblem(text);
    if (response.status === 401) this.#onSignedOut();
    throw new ApiError(
      response.status,
      problem.code ?? String(response.status),
      sentenceOf(problem) ?? `The control plane answered ${response.status}.`,
      { issues: problem.issues ?? [] },
    );
  }
}

const JSON_TYPE = { 'content-type': 'application/json' };

function part(value: string): string {
  return encodeURIComponent(value);
}

interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly issues?: readonly FieldIssue[];
}

function sentenceOf({ title, detail, hint }: Problem): string | undefined {
  const said = detail ?? title;
  return said === undefined || hint === undefined ? said : `${said} (${hint})`;
}

/** problem+json, or nothing when a proxy in between answered with a page of its own. */
function readProblem(text: string): Problem {
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null ? problem : {};
  } catch {
    return { title: text.slice(0, 200) };
  }
}
