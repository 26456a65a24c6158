/** An agent's core on a temporary directory with batch jobs, and what the tests ask of it. */
import { parse } from 'yaml';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { BatchCommand, BatchOutcome, RunReport } from '@runnel/shared/protocol/runs.ts';
import type { BatchSettings, RunChange } from '@runnel/agent/batch/batch-engine.ts';
import { BATCH_BUDGET } from '@runnel/agent/batch/batch-budget.ts';
import { defineTaskRunner, type TaskRunner } from '@runnel/agent/batch/tasks/task.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { defaultPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { taskPolicy } from '@runnel/agent/config/task-policy.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openSite, type Site, type SiteOptions } from '../streams/site.ts';

export interface BatchSite extends Site {
  /** A command with an id of its own. */
  command(command: DistributiveOmit<BatchCommand, 'id' | 'v'>, id?: string): Promise<BatchOutcome>;
  /** Resolves with the newest report of the run when it has ended. */
  ended(run: string): Promise<RunReport>;
  /** Rows that were committed so far, in order. */
  rows(): Promise<readonly Row[]>;
  /** Reports of runs, the newest of each, in the order in which they were made. */
  runs(): Promise<readonly RunReport[]>;
  readonly changes: RunChange[];
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export interface BatchSiteOptions extends SiteOptions {
  readonly settings?: Partial<BatchSettings>;
}

export async function openBatchSite(options: BatchSiteOptions = {}): Promise<BatchSite> {
  const { settings, ...given } = options;
  const dataDir = given.dataDir ?? tempDir('batch');
  const site = await openSite({
    ...given,
    dataDir,
    batch: {
      name: 'press-7',
      labels: { site: 'lyon' },
      budget: { ...BATCH_BUDGET, cpu: 4 },
      policy: taskPolicy(defaultPolicy, dataDir, {}),
      broker: null,
      ...settings,
    },
  });
  const rows: Row[] = [];
  const changes: RunChange[] = [];
  let commands = 0;
  const allRows = async (): Promise<readonly Row[]> => {
    rows.push(...(await site.take('results')));
    return rows;
  };
  const runs = async (): Promise<readonly RunReport[]> => {
    const newest = new Map<string, RunReport>();
    for (const { kind, value, dataset } of await allRows()) {
      if (kind === 'run') newest.set(dataset, value as RunReport);
    }
    return [...newest.values()];
  };
  return {
    ...site,
    changes,
    rows: allRows,
    runs,
    command: (command, id = `c${++commands}-${given.dataDir === undefined ? '' : 'again'}`) =>
      site.runtime.batchCommand({ v: 1, id, ...command }),
    async ended(run) {
      let found: RunReport | undefined;
      await waitFor(`run ${run} to end`, async () => {
        found = (await runs()).find((each) => each.run === run);
        return found?.endedAt != null && found.state !== 'queued' && found.state !== 'running';
      });
      return found!;
    },
  };
}

/** A desired job of a document as YAML without head: `tasks:` and the like. */
export function desiredJob(name: string, yaml: string, more: Partial<DesiredJob> = {}): DesiredJob {
  const document = {
    apiVersion: 'runnel/v1',
    kind: 'BatchJob',
    metadata: { name },
    ...(parse(yaml) as object),
  };
  const hash = JSON.stringify(document);
  return { name, version: 1, hash, document, parameters: {}, paused: false, ...more };
}

/** The value task, and what it does before it gives its value. */
export function runnersWith(
  before: (value: unknown, ...more: Parameters<TaskRunner['run']>) => Promise<void> | void,
): readonly TaskRunner[] {
  const value = taskRunners.find(({ kind }) => kind === 'value')!;
  const replaced = defineTaskRunner<{ value: unknown }>({
    kind: 'value',
    async run(config, context) {
      await before(config.value, config, context);
      return value.run(config, context);
    },
  });
  return [...taskRunners.filter(({ kind }) => kind !== 'value'), replaced];
}
