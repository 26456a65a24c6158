/**
 * The batch jobs of this agent: which version of each is desired, what a run of it is made from,
 * and what is told of it.
 *
 * A job at rest holds its schedule and its limits in memory, nothing of its tasks: a program is
 * compiled for a run and let go with it. A document stays stored as long as a run that is kept was
 * made from it, at most `limits.batchVersionsKeptMax` per job. Whatever is wrong with a version is
 * contained: it is reported as attempted, and the one before goes on (I10).
 */
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import type { BatchJob, TaskDefinition } from '@runnel/shared/definitions/batch-job.ts';
import type { BatchProgram } from '@runnel/shared/definitions/batch-program.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import { parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { tasks as taskSpecs } from '@runnel/shared/definitions/tasks/registry.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import type { RowOrigin } from '../../outbox/job-lanes.ts';
import type { RefusedJob } from '../../streams/job-plan.ts';
import { addLetters } from '../../streams/job-totals.ts';
import { jobParameters } from '../../streams/job-parameters.ts';
import type { BatchVersionRecord, RunRecord } from '../records.ts';
import type { DeclaredSource } from '../tables/journal-sources.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { type BatchJobRecord, keys } from './job-record.ts';

/** What is needed of a job between its runs. */
export interface JobFacts extends Pick<
  BatchJob,
  | 'cheapWindow'
  | 'historyMs'
  | 'maxActiveRuns'
  | 'maxActiveTasks'
  | 'parameters'
  | 'partition'
  | 'priority'
  | 'quota'
  | 'schedule'
  | 'sources'
> {
  /** Effective for this device. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Datasets that each task updates, as far as the document says. */
  readonly datasets: ReadonlyMap<string, readonly string[]>;
  readonly tasks: RunReport['tasks'];
}

export class BatchJobHost {
  record: BatchJobRecord;
  /** Null when this release cannot read what is stored. */
  facts: JobFacts | null;
  /** Why it cannot; else null. */
  unreadable: string | null;

  constructor(record: BatchJobRecord, facts: JobFacts | null, unreadable: string | null = null) {
    this.record = record;
    this.facts = facts;
    this.unreadable = unreadable;
  }

  get name(): string {
    return this.record.name;
  }

  /** Of rows that no run makes. */
  get origin(): RowOrigin {
    return { job: this.name, priority: this.facts?.priority ?? 0 };
  }

  update(tx: BatchTx, fields: Partial<BatchJobRecord>): void {
    const before = this.record;
    tx.undo(() => (this.record = before));
    this.record = { ...before, ...fields };
    tx.put(keys.job(this.name), this.record);
  }

  /** Counts times that started no run. */
  skip(tx: BatchTx, counts: Readonly<Record<string, number>>): void {
    const skipped = { ...this.record.skipped };
    for (const [reason, count] of Object.entries(counts)) {
      skipped[reason] = (skipped[reason] ?? 0) + count;
    }
    this.update(tx, { skipped });
  }

  /** Counts rows that went to the dead letters, by `<task>: <reason>`. */
  letters(tx: BatchTx, counts: Readonly<Record<string, number>>): void {
    let { deadLetters } = this.record;
    const deadLettersBy = { ...this.record.deadLettersBy };
    for (const [key, count] of Object.entries(counts)) {
      deadLetters += count;
      addLetters(deadLettersBy, key, count);
    }
    this.update(tx, { deadLetters, deadLettersBy });
  }
}

export interface BatchJobsOptions {
  readonly store: BatchStore;
  readonly now: () => number;
  /** A job begins, changes or goes; `host` is undefined when it goes. */
  readonly changed: (name: string, host: BatchJobHost | undefined) => void;
}

export class BatchJobs {
  readonly #options: BatchJobsOptions;
  readonly hosts = new Map<string, BatchJobHost>();
  /** Jobs of which no version could be taken. */
  readonly withoutVersion = new Map<string, NonNullable<BatchJobRecord['attempted']>>();

  constructor(options: BatchJobsOptions) {
    this.#options = options;
    for (const { value } of options.store.list<BatchJobRecord>(['job'])) {
      this.hosts.set(value.name, this.#stored(value));
    }
  }

  /** Returns the names of jobs that are no longer wanted; their runs are the caller's to end. */
  async apply(
    desired: readonly DesiredJob[],
    refused: readonly RefusedJob[],
  ): Promise<readonly string[]> {
    const named = new Set([...desired, ...refused].map(({ name }) => name));
    for (const name of this.withoutVersion.keys()) {
      if (!named.has(name)) this.withoutVersion.delete(name);
    }
    const commits: Promise<void>[] = [];
    for (const job of refused) commits.push(this.#attempted(job, 'refused', job.reason));
    for (const job of desired) commits.push(this.#take(job));
    await Promise.all(commits);
    return [...this.hosts.keys()].filter((name) => !named.has(name));
  }

  /** Throws `job_unknown`, `job_unreadable`. */
  required(name: string): { readonly host: BatchJobHost; readonly facts: JobFacts } {
    const host = this.hosts.get(name);
    if (host === undefined) {
      const attempt = this.withoutVersion.get(name);
      const why = attempt === undefined ? '' : `: version ${attempt.version}: ${attempt.reason}`;
      throw new RunnelError('job_unknown', `no batch job ${name} runs on this device${why}`);
    }
    const { facts } = host;
    if (facts !== null) return { host, facts };
    const why = host.unreadable ?? 'it is not stored';
    throw new RunnelError('job_unreadable', `this release cannot read the job ${name}: ${why}`, {
      hint: 'submit it anew: a version that this release reads takes its place',
    });
  }

  /** Effective values of a run that is given some of its own. Throws `DefinitionError`. */
  valuesWith(
    { parameters, values }: JobFacts,
    given: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, unknown>> {
    return jobParameters(parameters, { ...values, ...given });
  }

  /** The program of a run. Throws `version_gone`, `definition_invalid`, what the store does. */
  program(run: RunRecord, values: Readonly<Record<string, unknown>>): BatchProgram {
    const stored = this.#options.store.get<BatchVersionRecord>(keys.version(run.job, run.version));
    if (stored === undefined) {
      throw new RunnelError('version_gone', `version ${run.version} of ${run.job} is not kept`, {
        hint: 'run the partition anew: it takes the version that is desired now',
      });
    }
    try {
      return compileBatchJob(batchJobOf(stored.document), values);
    } catch (error) {
      throw new RunnelError('definition_invalid', messageOf(error), { cause: error });
    }
  }

  sources(): DeclaredSource[] {
    return [...this.hosts.values()].flatMap(({ name, facts }) =>
      Object.values(facts?.sources ?? {}).map((definition) => ({
        job: name,
        connector: `${definition.kind}-${definition.connectorFingerprint}`,
        definition,
        parameters: facts?.values ?? {},
      })),
    );
  }

  /** Jobs that a dataset triggers. */
  waitingFor(dataset: string): BatchJobHost[] {
    return [...this.hosts.values()].filter(({ facts }) =>
      (facts?.schedule?.triggers ?? []).some(
        (trigger) => trigger.kind === 'dataset' && trigger.datasets.includes(dataset),
      ),
    );
  }

  /** Forgets the job; its runs are gone by then. */
  forget(tx: BatchTx, name: string): void {
    const { store } = this.#options;
    this.hosts.delete(name);
    tx.remove(keys.job(name));
    for (const kind of ['version', 'cursor', 'breaker', 'quality', 'partition', 'results']) {
      for (const key of store.keys([kind, name])) tx.remove(key);
    }
    tx.remove(keys.schedule(name));
    tx.remove(keys.upstream(name));
    this.#options.changed(name, undefined);
  }

  /**
   * Documents that neither the desired version nor a kept run needs. One of a run that has not
   * ended (`open`) is kept whatever came after it.
   */
  removeVersions(
    tx: BatchTx,
    name: string,
    { needed, open }: { readonly needed: ReadonlySet<number>; readonly open: ReadonlySet<number> },
  ): void {
    const versions = this.#options.store.list<BatchVersionRecord>(['version', name]);
    const kept = versions.map(({ value }) => value.version).slice(-limits.batchVersionsKeptMax);
    for (const { key, value } of versions) {
      const isCurrent = value.version === this.hosts.get(name)?.record.version;
      if (isCurrent || open.has(value.version)) continue;
      if (needed.has(value.version) && kept.includes(value.version)) continue;
      tx.remove(key);
    }
  }

  async #take(desired: DesiredJob): Promise<void> {
    const { store } = this.#options;
    const { name, version, hash, document, parameters, paused } = desired;
    const content = `${hash} ${canonicalJson(parameters)}`;
    const host = this.hosts.get(name);
    const same = host?.record.version === version && host.record.content === content;
    if (same && host.facts !== null) {
      this.withoutVersion.delete(name);
      if (host.record.paused === paused && host.record.attempted === null) return;
      await store.commit((tx) => host.update(tx, { paused, attempted: null }));
      this.#options.changed(name, host);
      return;
    }
    let facts: JobFacts;
    try {
      facts = factsOf(batchJobOf(document), parameters, true);
    } catch (error) {
      await this.#attempted(desired, 'refused', messageOf(error));
      return;
    }
    this.withoutVersion.delete(name);
    const stored: BatchVersionRecord = { job: name, version, hash, document, parameters };
    const taken = host ?? new BatchJobHost(newRecord(name), facts);
    taken.facts = facts;
    taken.unreadable = null;
    this.hosts.set(name, taken);
    const committed = store.commit((tx) => {
      tx.put(keys.version(name, version), stored);
      taken.update(tx, { version, hash, content, paused, attempted: null });
    });
    this.#options.changed(name, taken);
    await committed;
  }

  async #attempted(
    { name, version }: Pick<RefusedJob, 'name' | 'version'>,
    phase: 'refused' | 'failed',
    reason: string,
  ): Promise<void> {
    const at = this.#options.now();
    const attempted = { version, phase, reason: reason.slice(0, 1000), at };
    const host = this.hosts.get(name);
    if (host === undefined) this.withoutVersion.set(name, attempted);
    else if (host.record.attempted?.reason !== attempted.reason) {
      await this.#options.store.commit((tx) => host.update(tx, { attempted }));
    }
    this.#options.changed(name, host);
  }

  /** What another release wrote may be unreadable: the job is reported so, with the reason. */
  #stored(record: BatchJobRecord): BatchJobHost {
    const { name, version } = record;
    const stored = this.#options.store.get<BatchVersionRecord>(keys.version(name, version));
    if (stored === undefined) {
      return new BatchJobHost(record, null, `version ${version} is not stored`);
    }
    try {
      const facts = factsOf(batchJobOf(stored.document), stored.parameters, false);
      return new BatchJobHost(record, facts);
    } catch (error) {
      return new BatchJobHost(record, null, messageOf(error));
    }
  }
}

/** Throws `DefinitionError`; `not_batch`. */
function batchJobOf(document: unknown): BatchJob {
  const job = parseJobDocument(document);
  if (job.kind === 'BatchJob') return job;
  throw new RunnelError('not_batch', `${job.name} is a ${job.kind}`);
}

/** With `check` all of it is compiled once, so that what is wrong is told now. */
function factsOf(
  job: BatchJob,
  parameters: Readonly<Record<string, unknown>>,
  check: boolean,
): JobFacts {
  const values = jobParameters(job.parameters, parameters);
  if (check) compileBatchJob(job, values);
  const { cheapWindow, historyMs, maxActiveRuns, maxActiveTasks, partition, priority, quota } = job;
  return {
    cheapWindow,
    historyMs,
    maxActiveRuns,
    maxActiveTasks,
    parameters: job.parameters,
    partition,
    priority,
    quota,
    schedule: job.schedule,
    sources: job.sources,
    values,
    datasets: new Map(job.tasks.map((task) => [task.id, datasetsOf(task)])),
    tasks: job.tasks.map(({ id, kind, needs }) => ({ id, kind, needs: [...needs] })),
  };
}

/** As the document says, before rendering: a name with a template in it is nobody's trigger. */
function datasetsOf({ kind, config }: TaskDefinition): readonly string[] {
  const spec = taskSpecs.find((each) => each.kind === kind);
  try {
    return spec?.datasets?.(config as never) ?? [];
  } catch (error) {
    // What it reads may be a template here, a text where it looks for fields: such a name is known
    // to the run alone, and this only serves to tell who is affected.
    if (!(error instanceof TypeError)) throw error;
    return [];
  }
}

function newRecord(name: string): BatchJobRecord {
  return {
    name,
    version: 0,
    hash: '',
    content: '',
    paused: false,
    nextRun: 1,
    firstRun: 1,
    skipped: {},
    ended: {},
    lastRun: null,
    lastSuccessAt: null,
    deadLetters: 0,
    deadLettersBy: {},
    attempted: null,
  };
}
