/**
 * A run that has not ended, how one is made of what was asked for, and when one that is there is
 * what was asked for.
 */
import { isDeepStrictEqual } from 'node:util';
import { RunnelError } from '@runnel/shared/errors.ts';
import { hasEnded, type RunTrigger } from '@runnel/shared/protocol/runs.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import type { RunRecord } from '../records.ts';
import type { ActiveRun } from './active-run.ts';
import type { BatchJobHost, JobFacts } from './batch-jobs.ts';
import type { BatchTx } from './batch-store.ts';
import { keys, type RunParametersRecord } from './job-record.ts';

export interface RunRequest {
  readonly partition: Partition;
  readonly trigger: RunTrigger;
  readonly at: number;
  readonly notBefore?: number;
  /** Given with the run; checked already. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Effective, with `parameters`. */
  readonly values?: Readonly<Record<string, unknown>>;
  readonly fullRefresh?: boolean;
  readonly backfill?: string;
}

/** A run that has not ended; `active` once it has started, or was asked something. */
export interface OpenRun {
  readonly host: BatchJobHost;
  active: ActiveRun | undefined;
  queued: RunRecord;
  /** How often it had to be read again from the store, and since when (monotonic) it is left be. */
  reloads: number;
  notBeforeMs: number;
}

export function opened(host: BatchJobHost, queued: RunRecord): OpenRun {
  return { host, active: undefined, queued, reloads: 0, notBeforeMs: 0 };
}

/** The `n`th run of its job, queued. */
export function newRun(
  id: string,
  now: number,
  host: BatchJobHost,
  facts: JobFacts,
  request: RunRequest,
): { readonly run: RunRecord; readonly given: RunParametersRecord } {
  const { partition, trigger, at, parameters = {} } = request;
  const run: RunRecord = {
    id,
    n: host.record.nextRun,
    job: host.name,
    version: host.record.version,
    partition,
    trigger,
    at,
    queuedAt: now,
    notBefore: request.notBefore ?? now,
    startedAt: null,
    endedAt: null,
    state: 'queued',
    cancelling: null,
    error: null,
    parameters,
    priority: facts.priority,
    fullRefresh: request.fullRefresh ?? false,
    tries: 1,
    backfill: request.backfill ?? null,
    ...(trigger === 'manual' && { asked: true }),
  };
  const given: RunParametersRecord = {
    values: request.values ?? facts.values,
    origins: originsOf(facts, parameters),
    tasks: facts.tasks,
  };
  return { run, given };
}

/** The run that is open: one that a person asks for has only the bounds of its job in its way. */
export function takenAgain(
  tx: BatchTx,
  open: OpenRun,
  { trigger }: RunRequest,
  now: number,
): RunRecord {
  const { active, queued } = open;
  // One that a person brought back was asked for already.
  if (active !== undefined) return active.run;
  if (trigger !== 'manual' || queued.state !== 'queued') return queued;
  tx.undo(() => (open.queued = queued));
  open.queued = { ...queued, notBefore: Math.min(queued.notBefore, now), asked: true };
  tx.put(keys.run(queued.id), open.queued);
  return open.queued;
}

/**
 * Whoever asks for a run of a partition gets the one that is open where that is the same: with the
 * same effective parameters, and no other `fullRefresh`. Throws `partition_active` where it is not.
 */
export function assertSame(
  { id, state, cancelling, fullRefresh }: RunRecord,
  { values }: RunParametersRecord,
  asked: Pick<RunRequest, 'fullRefresh' | 'values'>,
): void {
  const isEqual = isDeepStrictEqual(asStored(values), asStored(asked.values ?? {}));
  const why =
    cancelling !== null
      ? 'and is being cancelled'
      : !isEqual
        ? 'with other parameters'
        : fullRefresh !== (asked.fullRefresh ?? false)
          ? `with${fullRefresh ? '' : 'out'} full refresh`
          : null;
  if (why !== null) throw partitionActive({ id, state }, ` ${why}`);
}

export function partitionActive(
  { id, state }: Pick<RunRecord, 'id' | 'state'>,
  why = '',
): RunnelError {
  const told = `run ${id} of the same partition is ${state}${why}`;
  return new RunnelError('partition_active', told, {
    hint: 'wait for it, or cancel it: one run of a partition goes on at a time',
  });
}

export function notReadable(id: string): RunnelError {
  return new RunnelError('run_unreadable', `run ${id} cannot be read from the store now`, {
    hint: 'the log of the agent says why; try again',
  });
}

export type FatalCode = 'definition_invalid' | 'run_write_failed';

/** A run that cannot go on, and so has ended. */
export function failedRun(
  run: RunRecord,
  code: FatalCode,
  message: string,
  now: number,
): RunRecord {
  const errorClass = code === 'definition_invalid' ? 'definition' : 'other';
  return {
    ...run,
    state: 'failed',
    startedAt: run.startedAt ?? now,
    endedAt: now,
    error: { code, class: errorClass, message: message.slice(0, 2000) },
  };
}

function asStored(values: Readonly<Record<string, unknown>>): unknown {
  return JSON.parse(JSON.stringify(values));
}

function originsOf(
  facts: JobFacts,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  const origins: Record<string, string> = {};
  for (const [name, { default: byDefault }] of Object.entries(facts.parameters)) {
    const value = facts.values[name];
    const isDefault = JSON.stringify(byDefault) === JSON.stringify(value);
    origins[name] = Object.hasOwn(given, name) ? 'run' : isDefault ? 'default' : 'device';
  }
  return origins;
}

export function runUnknown(id: string): RunnelError {
  return new RunnelError('run_unknown', `this device has no run or open backfill ${id}`, {
    hint: 'it keeps the last runs of each job; older ones are gone',
  });
}

export function isOpen({ state }: Pick<RunRecord, 'state'>): boolean {
  return !hasEnded(state);
}
