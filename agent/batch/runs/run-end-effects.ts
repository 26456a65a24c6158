/**
 * What the end of a run means beyond it, in the commit that ends it: the completion of its
 * partition, the totals of its job, and the report with who is affected, of which the control plane
 * makes the event of a failure. Jobs that wait for a dataset which the run should have made, and
 * those behind them, hear of it by a condition of their own (upstream-failures.ts).
 */
import type { Logger } from 'pino';
import { limits } from '@runnel/shared/limits.ts';
import type { RunReport } from '@runnel/shared/protocol/runs.ts';
import type { PartitionRecord, RunRecord, TaskRecord } from '../records.ts';
import type { BatchJobHost, BatchJobs } from './batch-jobs.ts';
import type { BatchStore, BatchTx } from './batch-store.ts';
import { keys, type RunParametersRecord } from './job-record.ts';
import { runRow } from './run-reports.ts';
import type { Downstream, UpstreamFailures } from './upstream-failures.ts';

export interface RunEndOptions {
  readonly store: BatchStore;
  readonly jobs: BatchJobs;
  readonly upstream: UpstreamFailures;
  readonly log: Logger;
  readonly now: () => number;
}

export class RunEnd {
  readonly #options: RunEndOptions;

  constructor(options: RunEndOptions) {
    this.#options = options;
  }

  ended(tx: BatchTx, host: BatchJobHost, run: RunRecord, affectedTasks: readonly string[]): void {
    const { log, now, store, upstream } = this.#options;
    const { id, job, partition, version, error } = run;
    const state = run.state as PartitionRecord['state'];
    const endedAt = run.endedAt ?? now();
    const done: PartitionRecord = { job, partition, state, run: id, version, endedAt };
    tx.put(keys.partition(job, partition.id), done);
    const { ended, lastSuccessAt } = host.record;
    host.update(tx, {
      ended: { ...ended, [state]: (ended[state] ?? 0) + 1 },
      lastRun: { run: id, partition: partition.id, state, endedAt },
      lastSuccessAt: state === 'success' ? endedAt : lastSuccessAt,
    });
    const jobs = state === 'success' ? [] : this.#waitingJobs(host, id);
    const names = jobs.map(({ name }) => name);
    const affected: RunReport['affected'] = { tasks: [...affectedTasks], jobs: names };
    const given = store.get<RunParametersRecord>(keys.given(id)) ?? NOTHING;
    tx.row(run, runRow(run, given, affected, now()));
    const at = { job, run: id, partition: partition.id, state };
    if (state !== 'failed') {
      log.info(at, 'run ended');
      if (state === 'success')
        for (const { name } of this.#consumers(host)) upstream.over(tx, name, job);
      return;
    }
    log.error({ ...at, error: error?.message, affected }, 'run failed');
    for (const waiting of jobs) upstream.failed(tx, waiting, run, now());
  }

  /** Jobs on this device that wait for any dataset of the job, and those behind them. */
  #consumers(host: BatchJobHost): Downstream[] {
    return this.#behind(host.name, [...(host.facts?.datasets.values() ?? [])].flat());
  }

  /** Jobs on this device that wait for what the tasks that did not succeed should have made. */
  #waitingJobs(host: BatchJobHost, run: string): Downstream[] {
    const succeeded = new Set(
      this.#options.store
        .list<TaskRecord>(['task', run])
        .filter(({ value }) => value.index === null && value.state === 'success')
        .map(({ value }) => value.task),
    );
    const missing = [...(host.facts?.datasets ?? [])].filter(([task]) => !succeeded.has(task));
    return this.#behind(
      host.name,
      missing.flatMap(([, datasets]) => datasets),
    );
  }

  /** Nearest first, each once; the job itself is not behind itself. */
  #behind(job: string, datasets: readonly string[]): Downstream[] {
    const { jobs } = this.#options;
    const found = new Map<string, Downstream>();
    const seen = new Set<string>();
    const next = datasets.map((dataset) => ({ dataset, via: null as string | null }));
    for (const { dataset, via } of next) {
      if (seen.has(dataset)) continue;
      seen.add(dataset);
      for (const { name, facts } of jobs.waitingFor(dataset)) {
        if (name === job || found.has(name)) continue;
        if (found.size === limits.affectedJobsMax) return [...found.values()];
        found.set(name, { name, via });
        const made = [...(facts?.datasets.values() ?? [])].flat();
        next.push(...made.map((each) => ({ dataset: each, via: name })));
      }
    }
    return [...found.values()];
  }
}

const NOTHING: RunParametersRecord = { values: {}, origins: {}, tasks: [] };
