/** Why an attempt failed, with the class that a retry policy can name. */
import type { ErrorClass } from '@runnel/shared/definitions/batch-job.ts';
import { messageOf, RunnelError, type RunnelErrorOptions } from '@runnel/shared/errors.ts';

export interface TaskErrorOptions extends Omit<RunnelErrorOptions, 'retry'> {
  /** Not before this much later, as the other side asked for (`Retry-After`). */
  readonly retryAfterMs?: number;
}

export class TaskError extends RunnelError {
  readonly class: ErrorClass;
  readonly retryAfterMs: number | undefined;

  constructor(errorClass: ErrorClass, code: string, message: string, more: TaskErrorOptions = {}) {
    super(code, message, { ...more, retry: 'backoff' });
    this.name = 'TaskError';
    this.class = errorClass;
    this.retryAfterMs = more.retryAfterMs;
  }
}

const CLASS_OF_CODE: Readonly<Record<string, ErrorClass>> = {
  policy_refused: 'policy',
  definition_invalid: 'definition',
  template_value: 'definition',
  storage_full: 'resources',
  ENOSPC: 'resources',
  ENOMEM: 'resources',
  ECONNREFUSED: 'network',
  ECONNRESET: 'network',
  ENOTFOUND: 'network',
  EAI_AGAIN: 'network',
  ETIMEDOUT: 'network',
  EPIPE: 'network',
  EHOSTUNREACH: 'network',
  ENETUNREACH: 'network',
};

/** Whatever an attempt threw as a `TaskError`. */
export function taskErrorOf(thrown: unknown): TaskError {
  if (thrown instanceof TaskError) return thrown;
  const { code } = (thrown ?? {}) as { code?: unknown };
  const name = typeof code === 'string' ? code : 'error';
  const known = CLASS_OF_CODE[name] ?? (name.startsWith('expression_') ? 'definition' : 'other');
  return new TaskError(known, name, messageOf(thrown), { cause: thrown });
}
