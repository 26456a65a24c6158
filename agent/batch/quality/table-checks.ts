/**
 * Checks that judge a table as a whole: how many rows, how old the newest, and how a measure
 * compares with what it was in earlier runs.
 */
import { compileMeasure } from '@runnel/shared/definitions/compile-quality.ts';
import type { QualityCheck } from '@runnel/shared/definitions/quality-checks.ts';
import { Aggregation } from '@runnel/shared/engine/aggregates/aggregation.ts';
import type { Tally } from '@runnel/shared/engine/aggregates/aggregate.ts';
import { eventTimeOf } from '@runnel/shared/engine/event-time.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { type DefinitionIssue, DefinitionError } from '@runnel/shared/errors.ts';
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import { rowRecord } from '../data/timed-rows.ts';
import type { TaskContext } from '../tasks/task.ts';
import type { Row } from '../tasks/task-services.ts';
import { judgeAnomaly } from './anomaly.ts';

export interface TableVerdict {
  /** What is wrong, for people; undefined: it passes. */
  readonly problem: string | undefined;
  readonly measured: Json;
  /** To be kept for later runs. */
  readonly value?: number;
}

export interface TableJudge {
  add(row: Row): void;
  finish(): TableVerdict;
}

/** Undefined for a check of rows, and for `sql`. `past`: its measures in earlier runs. */
export function tableJudge(
  check: QualityCheck,
  past: readonly number[],
  context: TaskContext,
): TableJudge | undefined {
  if (check.rowCount !== undefined) return new RowCount(check.rowCount);
  if (check.freshness !== undefined) return new Freshness(check.freshness, context);
  if (check.anomaly !== undefined) {
    return new Measure(check.anomaly, past, context.program.parameters);
  }
  return undefined;
}

class RowCount implements TableJudge {
  #rows = 0;
  readonly #bounds: NonNullable<QualityCheck['rowCount']>;

  constructor(bounds: NonNullable<QualityCheck['rowCount']>) {
    this.#bounds = bounds;
  }

  add(): void {
    this.#rows += 1;
  }

  finish(): TableVerdict {
    const { min = 0, max = Infinity } = this.#bounds;
    const rows = this.#rows;
    const bound = rows < min ? `less than ${min}` : rows > max ? `more than ${max}` : undefined;
    return { problem: bound && `there are ${rows} rows, ${bound}`, measured: rows };
  }
}

class Freshness implements TableJudge {
  readonly #check: NonNullable<QualityCheck['freshness']>;
  readonly #atMs: number;
  #newestMs = -Infinity;

  constructor(check: NonNullable<QualityCheck['freshness']>, { clock, scope }: TaskContext) {
    this.#check = check;
    this.#atMs = check.at === 'now' ? clock.now() : scope.partition.end;
  }

  add(row: Row): void {
    const value = row[this.#check.column];
    try {
      const timeMs = eventTimeOf(value, this.#check.column);
      if (timeMs > this.#newestMs) this.#newestMs = timeMs;
    } catch (error) {
      // What is no time makes no row newer; `schema` tells of such values.
      if (!(error instanceof ExpressionError)) throw error;
    }
  }

  finish(): TableVerdict {
    const { column, within } = this.#check;
    if (this.#newestMs === -Infinity) {
      return { problem: `no row has a time in ${column}`, measured: null };
    }
    const ageMs = this.#atMs - this.#newestMs;
    const problem =
      ageMs > within
        ? `the newest row is ${durationText(ageMs)} old, more than ${durationText(within)}`
        : undefined;
    return { problem, measured: { newest: this.#newestMs, ageMs } };
  }
}

class Measure implements TableJudge {
  readonly #check: NonNullable<QualityCheck['anomaly']>;
  readonly #past: readonly number[];
  readonly #aggregation: Aggregation;
  readonly #tally: Tally = { n: [], c: [] };
  /** Rows on which the measure's expression fails, such as one without the column. */
  #failed = 0;

  constructor(
    check: NonNullable<QualityCheck['anomaly']>,
    past: readonly number[],
    parameters: Readonly<Record<string, unknown>>,
  ) {
    this.#check = check;
    this.#past = past.slice(-check.runs);
    const issues: DefinitionIssue[] = [];
    const plan = compileMeasure(check.measure, parameters, issues);
    if (issues.length > 0) throw new DefinitionError(issues);
    this.#aggregation = new Aggregation(plan);
    this.#aggregation.open(this.#tally);
  }

  add(row: Row): void {
    try {
      this.#aggregation.evaluate(rowRecord(row, 0));
      this.#aggregation.add(this.#tally, 0);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.#failed += 1;
    }
  }

  finish(): TableVerdict {
    const { value = null } = this.#aggregation.row(this.#tally, null, 0, 0);
    if (typeof value !== 'number') {
      const why = this.#failed > 0 ? ` (${this.#failed} rows lack it)` : '';
      const known = this.#past.length >= this.#check.minRuns;
      const problem = known ? `${this.#check.measure} has no value${why}` : undefined;
      return { problem, measured: { value: null, runs: this.#past.length } };
    }
    const { problem, ...measured } = judgeAnomaly(value, this.#past, this.#check);
    return { problem, measured: { value, ...measured }, value };
  }
}
