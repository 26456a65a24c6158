/**
 * Summaries by calendar period, one partition of a dataset each. A period is computed whole and
 * replaced, so that an attempt that is made again, or a run at the same time, changes nothing.
 */
import { compileRollup } from '@runnel/shared/definitions/compile-rollup.ts';
import type { RollupTaskConfig } from '@runnel/shared/definitions/tasks/rollup.ts';
import { DeadRows } from '../data/dead-rows.ts';
import type { Period } from '../rollup/periods.ts';
import { Periods } from '../rollup/periods.ts';
import type { PeriodGroups } from '../rollup/period-groups.ts';
import { withMark } from '../rollup/rollup-cursor.ts';
import { runRollup } from '../rollup/rollup-run.ts';
import { type DatasetWrite, defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import type { Row } from './task-services.ts';

export const rollupTask = defineTaskRunner<RollupTaskConfig>({
  kind: 'rollup',
  async run(config, context) {
    const rollup = compileRollup(config, context.program.parameters);
    const { partition } = context.scope;
    const timezone = config.timezone ?? partition.timezone;
    const periods = new Periods(config.period, timezone, partition.key);
    const dead = new DeadRows();
    const written = new WrittenPeriods(config, periods, context);
    const emit = (groups: PeriodGroups, targets: readonly Period[]): Promise<void> =>
      written.write(groups, targets);
    const { mark, skipped } = await runRollup({ config, rollup, periods, dead, context, emit });
    const table = await context.services.tables.write(context, written.rows());
    if (dead.count > 0) {
      const [first] = dead.kept;
      const why = first === undefined ? '' : `; the first: ${first.reason}: ${first.message}`;
      context.log.warn(`${dead.count} rows went to the dead letters${why}`);
    }
    return {
      output: {
        periods: written.datasets.length,
        rowCount: table.rows,
        columns: table.columns.map(({ name }) => name),
        skipped,
        deadLetters: dead.count,
      },
      table,
      datasets: written.datasets,
      removedDatasets: written.removed,
      deadRows: dead.kept,
      deadRowCount: dead.count,
      ...(mark !== undefined && { cursor: withMark(context, mark) }),
    } satisfies TaskSuccess;
  },
});

class WrittenPeriods {
  readonly datasets: DatasetWrite[] = [];
  readonly removed: NonNullable<TaskSuccess['removedDatasets']>[number][] = [];
  readonly #config: RollupTaskConfig;
  readonly #periods: Periods;
  readonly #context: TaskContext;

  constructor(config: RollupTaskConfig, periods: Periods, context: TaskContext) {
    this.#config = config;
    this.#periods = periods;
    this.#context = context;
  }

  /** A period that had rows, and has none any more, goes; not by what the journal still has. */
  async write(groups: PeriodGroups, targets: readonly Period[]): Promise<void> {
    const { dataset, deliver, journal } = this.#config;
    const { tables, datasets } = this.#context.services;
    const starts = new Set(groups.starts());
    for (const period of targets) {
      const partition = this.#periods.partitionOf(period);
      if (starts.has(period.startMs)) {
        const table = await tables.write(this.#context, groups.rows(period));
        this.datasets.push({ dataset, partition, table, deliver, withheld: ['_partial'] });
        continue;
      }
      if (journal !== undefined) continue;
      const stored = datasets.partitions(dataset, period.startMs, period.endMs);
      const record = stored.find((each) => each.partition === partition.id);
      if (record === undefined) continue;
      this.removed.push({ name: dataset, partition: partition.id, hash: record.hash });
    }
  }

  /** Of all periods, for the tasks behind this one. */
  async *rows(): AsyncGenerator<Row> {
    for (const { table } of this.datasets) {
      for await (const chunk of this.#context.services.tables.read(table)) yield* chunk;
    }
  }
}
