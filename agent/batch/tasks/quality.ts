/**
 * Judges a table in one pass. Where nothing can be left out the table behind this task is the input
 * itself: no row is written again.
 */
import { nameOf } from '@runnel/shared/definitions/quality-checks.ts';
import type { QualityTaskConfig } from '@runnel/shared/definitions/tasks/quality.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { Slices } from '../data/slices.ts';
import { type CheckResult, RowsJudge, rowsProblem } from '../quality/judge-rows.ts';
import { sqlViolations } from '../quality/sql-check.ts';
import type { TableRef } from '../records.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import { TaskError } from './task-error.ts';
import type { Row } from './task-services.ts';

/** Of one partition that succeeded. */
interface Measured {
  readonly partition: string;
  readonly values: Readonly<Record<string, number>>;
}

type Judged = CheckResult & { readonly problem: string | undefined };

export const qualityTask = defineTaskRunner<QualityTaskConfig>({
  kind: 'quality',
  async run({ input, checks }, context) {
    const given = inputOf(input, context);
    const { partition } = context.scope;
    // Made again, a partition is measured again: it must not be compared with itself.
    const past = (context.history as unknown as readonly Measured[]).filter(
      (each) => each.partition !== partition.id,
    );
    const judge = new RowsJudge(
      checks,
      (name) => past.flatMap(({ values }) => values[name] ?? []),
      context,
    );
    const table = await judged(given, judge, context);
    const results = judge.results();
    for (const check of checks) {
      if (check.sql === undefined) continue;
      const name = nameOf(check);
      const { violations, examples } = await sqlViolations(
        check.sql,
        { input, rows: table },
        context,
      );
      const passed = violations === 0;
      const problem = passed ? undefined : rowsProblem(violations, examples);
      const { severity } = check;
      results.set(name, { name, severity, passed, violations, measured: null, examples, problem });
    }
    const inOrder = checks.map((check) => results.get(nameOf(check))!);
    tell(inOrder, context);
    const now: Measured = { partition: partition.id, values: judge.measures };
    const history = [...past, now].slice(-limits.qualityHistoryMax);
    return {
      output: {
        passed: inOrder.every(({ passed }) => passed),
        checks: inOrder.map((each) => ({
          ...each,
          problem: each.problem ?? null,
        })) as unknown as Json,
        rowCount: table.rows,
        columns: table.columns.map(({ name }) => name),
        dropped: judge.dropped,
        quarantined: judge.quarantined.count,
      },
      table,
      deadRows: judge.quarantined.kept,
      deadRowCount: judge.quarantined.count,
      history: history as unknown as readonly Json[],
    } satisfies TaskSuccess;
  },
});

function inputOf(input: string, context: TaskContext): TableRef {
  const table = context.table(input);
  if (table !== undefined) return table;
  throw new TaskError('definition', 'no_table', `task ${input} made no table`, {
    hint: 'Name a task that makes rows.',
  });
}

/** The rows that are left, as a table. */
async function judged(given: TableRef, judge: RowsJudge, context: TaskContext): Promise<TableRef> {
  const { tables } = context.services;
  const chunks = judge.through(tables.read(given), new Slices(context));
  if (judge.leavesOut) return await tables.write(context, flat(chunks));
  for await (const _ of chunks) context.signal.throwIfAborted();
  return given;
}

async function* flat(chunks: AsyncIterable<readonly Row[]>): AsyncGenerator<Row> {
  for await (const chunk of chunks) yield* chunk;
}

/** Throws when a check blocks, with all that do. */
function tell(results: readonly Judged[], { log }: TaskContext): void {
  const failed = results.filter(({ passed }) => !passed);
  for (const { name, severity, problem } of failed) {
    const said = `${severity}: ${name}: ${problem}`;
    if (severity === 'block') log.error(said);
    else log.warn(said);
  }
  const blocking = failed.filter(({ severity }) => severity === 'block');
  if (blocking.length === 0) return;
  const message = blocking.map(({ name, problem }) => `${name}: ${problem}`).join('; ');
  throw new TaskError('data', 'quality_blocked', message, {
    hint: 'Mend the rows, or give the check another severity: warn, drop or quarantine.',
    fields: { checks: blocking.map(({ name, violations }) => ({ name, violations })) },
  });
}
