/** What a `rollup` task computes, compiled: event time of a row, and the aggregates over it. */
import type { AggregationPlan } from '../engine/aggregates/aggregation.ts';
import { DefinitionError, type DefinitionIssue } from '../errors.ts';
import { type Expression, ExpressionSyntaxError } from '../expressions/expression.ts';
import { compileColumnAggregation, compileColumnExpression } from './column-aggregation.ts';
import { parsePath } from './path.ts';
import { issueAt } from './strict.ts';
import type { TaskIssue } from './task-definition.ts';

/** Columns that every row of a rollup has. */
export const ROLLUP_COLUMNS = { time: '_time', end: '_end', partial: '_partial' } as const;

export interface RollupSettings {
  readonly time: string;
  readonly by?: string | readonly string[] | undefined;
  readonly aggregate: Readonly<Record<string, string>>;
}

export interface CompiledRollup {
  /** Undefined: the row's `_time`, or that of its partition. */
  readonly ownTime: Expression | undefined;
  /** Columns by which rows are grouped. */
  readonly by: readonly string[];
  readonly plan: AggregationPlan;
}

export function rollupIssues(
  settings: RollupSettings,
  parameters: Readonly<Record<string, unknown>>,
): TaskIssue[] {
  try {
    compileRollup(settings, parameters);
    return [];
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.issues.map(({ path, message, hint }) => ({
      path: parsePath(path),
      message,
      ...(hint === undefined ? {} : { hint }),
    }));
  }
}

/** Throws `DefinitionError`; paths are below the task's settings. */
export function compileRollup(
  settings: RollupSettings,
  parameters: Readonly<Record<string, unknown>>,
): CompiledRollup {
  const issues: DefinitionIssue[] = [];
  const by = typeof settings.by === 'string' ? [settings.by] : (settings.by ?? []);
  const own: readonly string[] = Object.values(ROLLUP_COLUMNS);
  for (const [index, column] of by.entries()) {
    if (own.includes(column) || by.indexOf(column) !== index) {
      issues.push(
        issueAt(['by'], `"${column}" cannot be grouped by twice, or is the rollup's own`),
      );
    }
  }
  for (const column of Object.keys(settings.aggregate)) {
    if (!own.includes(column) && !by.includes(column)) continue;
    const message = `"${column}" is a column of the rollup already`;
    issues.push(issueAt(['aggregate', column], message, 'Rename it.'));
  }
  const time = timeOf(settings.time, parameters, issues);
  const plan = compileColumnAggregation(settings.aggregate, parameters, issues);
  if (issues.length > 0) throw new DefinitionError(issues);
  return { ownTime: settings.time === ROLLUP_COLUMNS.time ? undefined : time, by, plan };
}

function timeOf(
  source: string,
  parameters: Readonly<Record<string, unknown>>,
  issues: DefinitionIssue[],
): Expression | undefined {
  try {
    return compileColumnExpression(source, parameters);
  } catch (error) {
    if (!(error instanceof ExpressionSyntaxError)) throw error;
    issues.push(issueAt(['time'], error.message, error.hint));
    return undefined;
  }
}
