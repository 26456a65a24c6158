/**
 * Jobs as people change them: text in, immutable versions out.
 *
 * Guarantees: nothing is stored that an agent of this release could not read and compile; the same
 * content is one version for ever. Applying it again changes nothing (`created: false`); applying
 * the content of an earlier version makes that version current again under its old number
 * (`created: false, changed: true`). Every change is audited, and `changed` has run before the
 * call returns, so that what was answered is what the agents are told.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { DefinitionError, type DefinitionIssue, RunnelError } from '@runnel/shared/errors.ts';
import type { Kysely } from 'kysely';
import { appendAudit } from '../store/audit.ts';
import { appendEvent } from '../store/events.ts';
import {
  applyVersion,
  deleteJob,
  findVersionByHash,
  getJob,
  newestVersion,
  setJobPaused,
} from '../store/jobs.ts';
import type { Schema } from '../store/schema.ts';
import { checkDefinition } from './check-definition.ts';

export interface DefinitionsParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  /** What is to run changed: roll it out, and bring views and desired state up to date. */
  readonly changed: (job: string, actor: string) => Promise<void>;
  /** The version that is there was applied again: rolls it out if it did not succeed before. */
  readonly retry: (job: string, version: number, actor: string) => Promise<boolean>;
}

export interface ApplyOutcome {
  readonly name: string;
  readonly kind: string;
  readonly version: number;
  readonly hash: string;
  readonly generation: number;
  readonly created: boolean;
  readonly changed: boolean;
  /** The version is the same, and is rolled out once more. */
  readonly retried: boolean;
  readonly dryRun: boolean;
  /** Canonical JSON. */
  readonly document: string;
}

export interface Validation {
  readonly valid: boolean;
  readonly name: string | null;
  readonly kind: string | null;
  readonly hash: string | null;
  readonly issues: readonly DefinitionIssue[];
}

export class Definitions {
  readonly #parts: DefinitionsParts;

  constructor(parts: DefinitionsParts) {
    this.#parts = parts;
  }

  /** Errors: `definition_invalid` with every issue found. */
  async apply(text: string, actor: string): Promise<ApplyOutcome> {
    const { db, clock, changed, retry } = this.#parts;
    const job = checkDefinition(text);
    const now = clock.now();
    const applied = await applyVersion(
      db,
      {
        name: job.name,
        kind: job.kind,
        hash: job.hash,
        document: job.canonical,
        source: text,
        createdBy: actor,
      },
      now,
    );
    const { name, kind, hash, canonical } = job;
    const facts = { name, kind, hash, document: canonical, dryRun: false };
    const outcome = { ...facts, ...applied, retried: false };
    if (!applied.changed) {
      const retried = await retry(job.name, applied.version, actor);
      return { ...outcome, retried };
    }
    const { version, generation, created } = applied;
    const data = { version, generation, created, hash: job.hash };
    await appendAudit(db, { at: now, actor, action: 'job.apply', subject: job.name, data });
    await this.#event(job.name, now, `version ${version} is to run`, data);
    await changed(name, actor);
    return outcome;
  }

  /** What `apply` would do; stores nothing. Errors: `definition_invalid`. */
  async dryRun(text: string): Promise<ApplyOutcome> {
    const { db } = this.#parts;
    const job = checkDefinition(text);
    const current = await getJob(db, job.name);
    const known = await findVersionByHash(db, job.name, job.hash);
    const newest = await newestVersion(db, job.name);
    const version = known ?? newest + 1;
    const changed = current?.version !== version;
    return {
      name: job.name,
      kind: job.kind,
      version,
      hash: job.hash,
      generation: (current?.generation ?? 0) + (changed ? 1 : 0),
      created: known === undefined,
      changed,
      retried: false,
      dryRun: true,
      document: job.canonical,
    };
  }

  /** Every issue as a value, for editors; never throws for what is wrong in the text. */
  validate(text: string): Validation {
    try {
      const { name, kind, hash } = checkDefinition(text);
      return { valid: true, name, kind, hash, issues: [] };
    } catch (error) {
      if (!(error instanceof DefinitionError)) throw error;
      return { valid: false, name: null, kind: null, hash: null, issues: error.issues };
    }
  }

  /** Versions stay. Errors: `not_found`. */
  async delete(name: string, actor: string): Promise<void> {
    const { db, clock, changed } = this.#parts;
    const now = clock.now();
    const generation = await deleteJob(db, name, now);
    if (generation === undefined) {
      throw new RunnelError('not_found', `there is no job ${JSON.stringify(name)}`);
    }
    const data = { generation };
    await appendAudit(db, { at: now, actor, action: 'job.delete', subject: name, data });
    await this.#event(name, now, 'deleted', data);
    await changed(name, actor);
  }

  /**
   * Stops a job everywhere, to go on later, or lets it go on; new versions do not change that.
   * Doing it again changes nothing. Error: `not_found`.
   */
  async setPaused(name: string, paused: boolean, actor: string): Promise<void> {
    const { db, clock, changed } = this.#parts;
    const now = clock.now();
    const done = await setJobPaused(db, name, paused, now);
    if (done === undefined) {
      throw new RunnelError('not_found', `there is no job ${JSON.stringify(name)}`);
    }
    if (!done) return;
    const action = paused ? 'job.pause' : 'job.resume';
    await appendAudit(db, { at: now, actor, action, subject: name });
    await this.#event(name, now, paused ? 'paused' : 'goes on', { paused });
    await changed(name, actor);
  }

  async #event(job: string, at: number, message: string, data: unknown): Promise<void> {
    const event = { at, agent: null, job, type: 'job', severity: 'info', message, data } as const;
    await appendEvent(this.#parts.db, event);
  }
}
