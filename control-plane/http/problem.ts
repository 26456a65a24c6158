/**
 * The one mapper of errors to HTTP: problem+json (RFC 9457) with a stable `code`.
 *
 * An error that is not ours is answered as `internal` without its text, which could hold anything;
 * the request id in the answer finds it in the log.
 */
import { HTTPException } from 'hono/http-exception';
import { type DefinitionIssue, RunnelError } from '@runnel/shared/errors.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly hint?: string;
  readonly issues?: readonly DefinitionIssue[];
  readonly requestId?: string;
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Invalid definition',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Not available',
};

/** Codes whose status is not told by their ending. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  definition_invalid: 422,
  expression_invalid: 422,
  selector_invalid: 400,
  request_invalid: 400,
  protocol: 400,
  protocol_version: 400,
  cursor_invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  token_unknown: 403,
  nonce_invalid: 403,
  proof_invalid: 403,
  cross_site: 403,
  body_too_large: 413,
  rate_limited: 429,
  device_refused: 409,
  device_unreachable: 503,
  packages_invalid: 503,
};

/** The rest follow one rule, so that a new code of another folder is never a 500 by accident. */
const STATUS_BY_ENDING: readonly (readonly [RegExp, number])[] = [
  [/(^|_)not_found$|_unknown$/, 404],
  [/_(exists|conflict|taken|mismatch|not_revoked|not_pending)$/, 409],
  [/_(revoked|pending|not_approved|forbidden)$/, 403],
  [/_(expired|used_up|used|exhausted)$/, 403],
  [/_too_large$|_too_long$/, 413],
  [/_(invalid|malformed|refused|required|out_of_range)$/, 400],
];

function statusOf(error: RunnelError): number {
  const known = STATUS_BY_CODE[error.code];
  if (known !== undefined) return known;
  const rule = STATUS_BY_ENDING.find(([ending]) => ending.test(error.code));
  if (rule !== undefined) return rule[1];
  return error.retry === 'never' ? 500 : 503;
}

/** `requestId` finds the cause in the log. */
export function problemOf(error: unknown, requestId?: string): Problem {
  const id = requestId === undefined ? {} : { requestId };
  if (error instanceof HTTPException) {
    const code = error.status === 413 ? 'body_too_large' : `http_${error.status}`;
    return { ...head(error.status, code), detail: error.message, ...id };
  }
  if (!(error instanceof RunnelError)) {
    return { ...head(500, 'internal'), detail: 'an internal error; the log has its cause', ...id };
  }
  return {
    ...head(statusOf(error), error.code),
    detail: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...issuesOf(error),
    ...id,
  };
}

/** Definitions name their issues; so does whatever else checks fields that a person fills in. */
function issuesOf({ fields }: RunnelError): { issues?: readonly DefinitionIssue[] } {
  const { issues } = fields;
  return Array.isArray(issues) ? { issues: issues as DefinitionIssue[] } : {};
}

function head(status: number, code: string): Pick<Problem, 'type' | 'title' | 'status' | 'code'> {
  return {
    type: `urn:runnel:problem:${code}`,
    title: TITLES[status] ?? 'Error',
    status,
    code,
  };
}

export function problemResponse(problem: Problem, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });
}

const WHERE_TO_LOOK: Readonly<Record<string, string>> = {
  agent: 'runnel get agents lists them',
  job: 'runnel get jobs lists them',
  run: 'runnel runs JOB lists them; one that was just started is known when its device reports it',
};

export function notFound(what: string, name: string): RunnelError {
  const hint = WHERE_TO_LOOK[what];
  const message = `there is no ${what} ${JSON.stringify(name.slice(0, 200))}`;
  return new RunnelError('not_found', message, hint === undefined ? {} : { hint });
}
