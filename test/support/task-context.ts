/**
 * A device for one task: a data directory, a real store with a journal, real tables, datasets on
 * disk, the real policy and real children. Only what the runtime does around an attempt is left
 * out: what the attempt gives back is not committed anywhere; `publishDataset` stands for it.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import type { DatasetRecord, SentRecord, TableRef } from '@runnel/agent/batch/records.ts';
import { TaskChildren } from '@runnel/agent/batch/child/children.ts';
import type { DeclaredSource } from '@runnel/agent/batch/tables/journal-sources.ts';
import { StoredJournal } from '@runnel/agent/batch/tables/stored-journal.ts';
import { TableFiles } from '@runnel/agent/batch/tables/table-files.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import type {
  DatasetWrite,
  TaskContext,
  TaskRunner,
  TaskSuccess,
} from '@runnel/agent/batch/tasks/task.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { Row, TaskServices } from '@runnel/agent/batch/tasks/task-services.ts';
import type { CheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { agentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { taskPolicy } from '@runnel/agent/config/task-policy.ts';
import { readBlockHeader } from '@runnel/agent/journal/block-format.ts';
import { BlockWriter } from '@runnel/agent/journal/block-writer.ts';
import { writeCut } from '@runnel/agent/journal/journal-cut.ts';
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import type { BatchProgram, TaskScope } from '@runnel/shared/definitions/batch-program.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import { effectiveParameters } from '@runnel/shared/definitions/parameters.ts';
import { parseJob } from '@runnel/shared/definitions/parse-job.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { openTestStore } from '../agent/outbox/open-test-store.ts';
import { childEntry } from './child-entry.ts';
import { tempDir } from './temp-dir.ts';

/** What stands under `tasks:` of the job, and whatever else its document shall have. */
export interface SiteJob {
  readonly tasks: readonly Readonly<Record<string, unknown>>[];
  readonly [key: string]: unknown;
}

export interface JournalRecord {
  readonly arrivalMs: number;
  /** Objects are written as JSON; a text is taken as it is. */
  readonly payload: unknown;
  readonly topic?: string;
}

export interface ContextOptions {
  /** Tables of earlier tasks, by id. */
  readonly tables?: Readonly<Record<string, TableRef>>;
  /** Outputs of earlier tasks, by id. */
  readonly outputs?: Readonly<Record<string, Json>>;
  readonly partition?: Partial<TaskScope['partition']>;
  readonly item?: Json;
  readonly index?: number | null;
  readonly attempt?: number;
  readonly tries?: number;
  readonly cursor?: Json;
  readonly history?: readonly Json[];
  readonly fullRefresh?: boolean;
  readonly sent?: SentRecord;
  readonly signal?: AbortSignal;
  readonly services?: Partial<TaskServices>;
}

export interface Attempted {
  readonly success: TaskSuccess;
  readonly context: TestContext;
}

export interface TestContext extends TaskContext {
  /** What was written into the run's log, `level text`. */
  readonly lines: readonly string[];
}

/** The day that runs cover unless a test says another: 2026-11-22 in UTC. */
export const DAY_START = Date.UTC(2026, 10, 22);
export const DAY_MS = 86_400_000;

export class TaskSite {
  readonly dataDir: string;
  readonly store: CheckpointStore;
  readonly tables: TableFiles;
  readonly journal: StoredJournal;
  readonly datasets: DatasetRecord[] = [];
  readonly sources: DeclaredSource[] = [];
  readonly purged: number[] = [];
  /** What runs the tasks; a test may plant another. */
  runners: readonly TaskRunner[] = taskRunners;
  /** What the history of the device's jobs reaches back to. */
  historyFromMs = Infinity;
  /** Of policy.yaml; set before the first context. */
  policy: Readonly<Record<string, unknown>> = {};
  env: Readonly<Record<string, string>> = {};
  broker: unknown = undefined;
  #block = 1;
  #records = 0;
  #scratch = 0;

  constructor(dataDir = tempDir('tasks')) {
    this.dataDir = dataDir;
    this.store = openTestStore(join(dataDir, 'store'));
    this.tables = new TableFiles(dataDir);
    this.journal = new StoredJournal({
      store: this.store,
      sources: () => this.sources,
      purgeBefore: async (timeMs) => this.purged.push(timeMs),
      historyFromMs: () => this.historyFromMs,
    });
  }

  /** Compiles a batch job; its own sources become known to the device. */
  program(job: SiteJob, given: Readonly<Record<string, unknown>> = {}): BatchProgram {
    const head = { apiVersion: 'runnel/v1', kind: 'BatchJob', metadata: { name: 'job' } };
    const parsed = parseJob(stringify({ ...head, ...job })).job as BatchJob;
    const { values } = effectiveParameters(parsed.parameters, given);
    for (const definition of Object.values(parsed.sources)) {
      this.declare(parsed.name, definition, values);
    }
    return compileBatchJob(parsed, values);
  }

  declare(
    job: string,
    definition: DeclaredSource['definition'],
    parameters: DeclaredSource['parameters'] = {},
  ): DeclaredSource {
    const connector = `${definition.kind}-${definition.connectorFingerprint}`;
    const source = { job, connector, definition, parameters };
    this.sources.push(source);
    return source;
  }

  /** Appends records of a source to the journal, as one commit of as many blocks as they need. */
  async append(source: DeclaredSource, records: readonly JournalRecord[]): Promise<void> {
    const writers: BlockWriter[] = [];
    let writer: BlockWriter | undefined;
    for (const { arrivalMs, payload, topic = 'line/1' } of records) {
      const bytes = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
      if (writer === undefined || !writer.fits(bytes.length + 200)) {
        writer = new BlockWriter(this.#block++);
        writers.push(writer);
      }
      writer.record(source.connector, topic, bytes, undefined, arrivalMs);
    }
    await this.store.commit((tx) => {
      for (const each of writers) {
        tx.put('journal', each.block, each.seal(0, this.#records, 0));
        this.#records += each.records;
      }
    });
  }

  /** Drops the blocks before this one, as retention does. */
  async dropBlocksBefore(block: number): Promise<void> {
    await this.store.commit((tx) => {
      for (let each = 1; each < block; each++) {
        const stored = this.store.get('journal', each);
        if (stored === undefined) continue;
        tx.remove('journal', each);
        writeCut(tx, readBlockHeader(stored).nowLast);
      }
    });
  }

  services(): TaskServices {
    const policy = agentPolicy.parse({
      apiVersion: 'runnel/v1',
      kind: 'AgentPolicy',
      ...this.policy,
    });
    return {
      log: pino({ level: 'silent' }),
      tables: this.tables,
      journal: this.journal,
      datasets: {
        partitions: (name, fromMs = -Infinity, toMs = Infinity) =>
          this.datasets
            .filter((each) => each.name === name && each.start < toMs)
            .filter(({ start, end }) => end > fromMs || start >= fromMs)
            .toSorted((a, b) => a.start - b.start),
      },
      policy: taskPolicy(policy, this.dataDir, this.env),
      children: new TaskChildren({ entry: childEntry(), clock: systemClock }),
      store: {
        compact: () => Promise.reject(new TaskError('other', 'no_store', 'nothing to compact')),
        usage: () => ({ fileBytes: 0, usedBytes: 0 }),
      },
      index: {
        rebuild: () => Promise.reject(new TaskError('other', 'no_store', 'nothing to check')),
      },
      broker: this.broker,
    };
  }

  context(program: BatchProgram, task: string, options: ContextOptions = {}): TestContext {
    const scratchDir = join(this.dataDir, 'batch', 'scratch', `s${++this.#scratch}`);
    mkdirSync(scratchDir, { recursive: true });
    const lines: string[] = [];
    const scope = scopeOf(program, options);
    const identity = [program.job.name, scope.partition.id, task, String(scope.index)];
    return {
      scope,
      program,
      task,
      attempt: options.attempt ?? 1,
      effectKey: createHash('sha256').update(identity.join('\0')).digest('hex'),
      tries: options.tries ?? 1,
      fullRefresh: options.fullRefresh ?? false,
      sent: options.sent ?? null,
      sending: () => undefined,
      cursor: options.cursor ?? null,
      history: options.history ?? [],
      table: (id) => options.tables?.[id],
      scratchDir,
      signal: options.signal ?? new AbortController().signal,
      clock: systemClock,
      log: {
        info: (text) => lines.push(`info ${text}`),
        warn: (text) => lines.push(`warn ${text}`),
        error: (text) => lines.push(`error ${text}`),
      },
      services: { ...this.services(), ...options.services },
      lines,
    };
  }

  /** One attempt, as the runtime makes it: config rendered, scratch directory removed. */
  async attempt(
    program: BatchProgram,
    task: string,
    options: ContextOptions = {},
  ): Promise<Attempted> {
    const compiled = program.tasks.find(({ definition }) => definition.id === task);
    const runner = this.runners.find(({ kind }) => kind === compiled?.definition.kind);
    if (compiled === undefined || runner === undefined) throw new Error(`no task ${task} to run`);
    const context = this.context(program, task, options);
    try {
      const success = await runner.run(compiled.config(context.scope), context);
      return { success, context };
    } finally {
      rmSync(context.scratchDir, { recursive: true, force: true });
    }
  }

  /** What an attempt throws. */
  async failure(
    program: BatchProgram,
    task: string,
    options: ContextOptions = {},
  ): Promise<TaskError> {
    const error = await this.attempt(program, task, options).then(
      () => new Error('the attempt succeeded'),
      (reason: unknown) => reason,
    );
    if (error instanceof TaskError) return error;
    throw error;
  }

  /** A table with these rows, as a task before would have made it. */
  async table(rows: readonly Row[]): Promise<TableRef> {
    const program = this.#maker();
    const context = this.context(program, 'made');
    const table = await this.tables.write(context, rows);
    rmSync(context.scratchDir, { recursive: true, force: true });
    return table;
  }

  async rows(table: TableRef | undefined): Promise<Row[]> {
    const rows: Row[] = [];
    if (table === undefined) return rows;
    for await (const chunk of this.tables.read(table)) rows.push(...chunk);
    return rows;
  }

  /** What the commit of a success does with a dataset. */
  async publishDataset(
    write: Pick<DatasetWrite, 'dataset' | 'table' | 'link'>,
    partition: Pick<DatasetRecord, 'partition' | 'start' | 'end'>,
  ): Promise<DatasetRecord> {
    const hash = await this.tables.hash(write.table);
    const table = await this.tables.toDataset(
      write.table,
      write.dataset,
      partition.partition,
      hash,
    );
    const at = this.datasets.findIndex(
      (each) => each.name === write.dataset && each.partition === partition.partition,
    );
    const record: DatasetRecord = {
      name: write.dataset,
      ...partition,
      table,
      hash,
      revision: (this.datasets[at]?.revision ?? 0) + 1,
      job: 'job',
      run: 'run-1',
      updatedAt: systemClock.now(),
      ...(write.link !== undefined && { link: write.link }),
    };
    this.datasets.splice(at < 0 ? this.datasets.length : at, at < 0 ? 0 : 1, record);
    return record;
  }

  #made: BatchProgram | undefined;

  #maker(): BatchProgram {
    this.#made ??= this.program({ tasks: [{ id: 'made', value: { value: 1 } }] });
    return this.#made;
  }
}

/** A device that is gone when the test ends. */
export function taskSite(): TaskSite {
  const site = new TaskSite();
  onTestFinished(() => {
    site.sources.length = 0;
  });
  return site;
}

function scopeOf(program: BatchProgram, options: ContextOptions): TaskScope {
  const start = options.partition?.start ?? epochMs(DAY_START);
  const end = options.partition?.end ?? epochMs(start + DAY_MS);
  const date = new Date(start).toISOString().slice(0, 10);
  const partition = {
    id: date,
    key: null,
    start,
    end,
    timezone: 'UTC',
    date,
    startAt: new Date(start).toISOString(),
    endAt: new Date(end).toISOString(),
    ...options.partition,
  };
  const { name } = program.job;
  const tasks = Object.entries(options.outputs ?? {}).map(
    ([id, output]) => [id, { state: 'success', output }] as const,
  );
  return {
    job: { name, version: 1 },
    run: { id: 'run-1', key: `${name}/${partition.id}`, at: end, trigger: 'schedule' },
    partition,
    agent: { id: 'agent1', name: 'press-1', labels: { site: 'lyon' } },
    tasks: Object.fromEntries(tasks),
    item: options.item ?? null,
    index: options.index ?? null,
  };
}
