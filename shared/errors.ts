/**
 * One error type for everything that can go wrong in a way we can name.
 *
 * `code` is stable and documented; `retry` tells a loop what to do with it. Edges map it once:
 * HTTP to problem+json, the command line to one line and an exit code.
 */
export type Retry = 'never' | 'backoff' | 'reconnect';

export interface RunnelErrorOptions {
  /** What the caller should do; `never` unless said otherwise. */
  readonly retry?: Retry;
  readonly cause?: unknown;
  /** Typed facts for programs: ids, limits, paths. Never secrets. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** How a person mends it, as one sentence. */
  readonly hint?: string;
}

export class RunnelError extends Error {
  /** Stable, dotted or snake case: `definition_invalid`, `storage_full`, … */
  readonly code: string;
  readonly retry: Retry;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: RunnelErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RunnelError';
    this.code = code;
    this.retry = options.retry ?? 'never';
    this.fields = options.fields ?? {};
    this.hint = options.hint;
  }
}

/**
 * One thing wrong in a document: where (`steps[2].filter`, line, column), what, and how to mend it.
 */
export interface DefinitionIssue {
  readonly path: string;
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
  /** The file it is in, where the document came from one. */
  readonly file?: string;
  readonly hint?: string;
}

/** A document that does not pass; carries every issue found, not only the first. */
export class DefinitionError extends RunnelError {
  readonly issues: readonly DefinitionIssue[];

  constructor(issues: readonly DefinitionIssue[]) {
    super(
      'definition_invalid',
      issues.map((issue) => `${issue.path}: ${issue.message}`).join('; '),
      {
        fields: { issues },
      },
    );
    this.name = 'DefinitionError';
    this.issues = issues;
  }
}

/** A broken invariant: stops the job that met it, never the agent. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new RunnelError('invariant_broken', message);
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
