/**
 * The REST API as the commands use it. Errors become `CliError`s with the exit code that fits:
 * unreachable, not authorised, or refused.
 */
import { DefinitionError, type DefinitionIssue, messageOf } from '@runnel/shared/errors.ts';
import { CliError, usageError } from './cli-error.ts';
import { exitCodes } from './exit-code.ts';

export interface ApiOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly timeoutMs?: number;
}

interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly text?: { readonly type: string; readonly content: string };
  readonly signal?: AbortSignal;
}

export class ApiClient {
  readonly url: string;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;

  constructor(options: ApiOptions) {
    if (!URL.canParse(options.url) || !/^https?:/.test(options.url)) {
      throw usageError(`"${options.url}" is no URL`, 'for example http://127.0.0.1:8080');
    }
    this.url = options.url.replace(/\/+$/, '');
    this.#token = options.token;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** The parsed answer; undefined for 204. The caller trusts its own control plane's shapes. */
  async request<T>(path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.#send(path, options);
    if (response.status === 204) return undefined as T;
    const text = await this.#body(response);
    if (!response.ok) throw problemError(response.status, text);
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new CliError(exitCodes.failed, `${this.url} answered with something that is not JSON`, {
        hint: 'is this the address of a Runnel control plane?',
      });
    }
  }

  async #send(path: string, options: RequestOptions): Promise<Response> {
    const target = new URL(`${this.url}/api/v1${path}`);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) target.searchParams.set(name, value);
    }
    const type =
      options.text?.type ?? (options.body === undefined ? undefined : 'application/json');
    const content = options.text?.content ?? JSON.stringify(options.body);
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const signal =
      options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
    try {
      return await fetch(target, {
        method: options.method ?? 'GET',
        headers: {
          accept: 'application/json',
          ...(type === undefined ? {} : { 'content-type': type }),
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        },
        ...(type === undefined ? {} : { body: content }),
        signal,
      });
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #body(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  #unreachable(error: unknown): CliError {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : messageOf(cause);
    return new CliError(exitCodes.unreachable, `cannot reach ${this.url}: ${code}`, {
      code: 'unreachable',
      hint: 'is it running? The address comes from --url or RUNNEL_URL',
    });
  }
}

interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly code?: string;
  readonly hint?: string;
  readonly issues?: readonly DefinitionIssue[];
}

function problemError(status: number, text: string): Error {
  const problem = parsedProblem(text);
  if (problem.issues !== undefined && problem.issues.length > 0) {
    return new DefinitionError(problem.issues);
  }
  const message = problem.detail ?? problem.title ?? `the control plane answered ${status}`;
  const options = { problem, code: problem.code ?? `http_${status}` };
  if (status === 401 || status === 403) {
    // The server's own hint is for whoever writes HTTP; here it is about this command line.
    const hint =
      status === 401
        ? 'set RUNNEL_TOKEN, or pass --token; on the server it is in DIR/admin-token'
        : (problem.hint ?? 'this needs a token with another role');
    return new CliError(exitCodes.unauthorised, message, { ...options, hint });
  }
  const hint = problem.hint === undefined ? {} : { hint: problem.hint };
  return new CliError(exitCodes.failed, message, { ...options, ...hint });
}

function parsedProblem(text: string): ProblemBody {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // A proxy's error page: the status alone has to do.
    return {};
  }
}
