/**
 * One pass over a table: every check looks at every row, and rows that a check with `drop` or
 * `quarantine` finds are left out. `unique` and the checks of the table see only what is left.
 */
import {
  nameOf,
  type QualityCheck,
  type Severity,
} from '@runnel/shared/definitions/quality-checks.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { DeadRows } from '../data/dead-rows.ts';
import type { Slices } from '../data/slices.ts';
import type { TaskContext } from '../tasks/task.ts';
import type { Row } from '../tasks/task-services.ts';
import { rowJudge, type RowJudge } from './row-checks.ts';
import { tableJudge, type TableJudge } from './table-checks.ts';

/** What a check found; part of the task's output. */
export interface CheckResult {
  readonly name: string;
  readonly severity: Severity;
  readonly passed: boolean;
  /** Rows, for a check of rows; else 1 or 0. */
  readonly violations: number;
  readonly measured: Json;
  /** At most `limits.qualityExamplesMax`: the number of a row, from 1, and what is wrong in it. */
  readonly examples: readonly Json[];
}

interface Running {
  readonly check: QualityCheck;
  readonly name: string;
  readonly row: RowJudge | undefined;
  readonly table: TableJudge | undefined;
  violations: number;
  readonly examples: Json[];
}

export class RowsJudge {
  readonly quarantined = new DeadRows();
  dropped = 0;
  rows = 0;
  /** Measures of this run, by check. */
  readonly measures: Record<string, number> = {};
  readonly #checks: readonly Running[];

  /** `past`: measures of earlier runs, oldest first, by the name of a check. */
  constructor(
    checks: readonly QualityCheck[],
    past: (name: string) => readonly number[],
    context: TaskContext,
  ) {
    const running = checks.map((check): Running => {
      const name = nameOf(check);
      return {
        check,
        name,
        row: rowJudge(check, context.program.parameters),
        table: tableJudge(check, past(name), context),
        violations: 0,
        examples: [],
      };
    });
    // What is left out by the others does not count for `unique`.
    this.#checks = running.toSorted((left, right) => order(left) - order(right));
  }

  get leavesOut(): boolean {
    return this.#checks.some(({ check }) => leavesOut(check));
  }

  /** The rows that pass, or are only warned of. */
  async *through(
    chunks: AsyncIterable<readonly Row[]>,
    slices: Slices,
  ): AsyncGenerator<readonly Row[]> {
    for await (const chunk of chunks) {
      const kept: Row[] = [];
      for (const row of chunk) {
        if (this.#take(row)) kept.push(row);
        if (slices.isOver()) await slices.rest();
      }
      yield kept;
    }
  }

  /** All checks but `sql`, by name. */
  results(): Map<string, CheckResult & { readonly problem: string | undefined }> {
    return new Map(this.#checks.map((running) => [running.name, this.#result(running)]));
  }

  #take(row: Row): boolean {
    this.rows += 1;
    let out: Running | undefined;
    for (const running of this.#checks) {
      const { check, row: judge } = running;
      if (judge === undefined || (out !== undefined && check.unique !== undefined)) continue;
      const found = judge(row);
      if (found === undefined) continue;
      running.violations += 1;
      if (running.examples.length < limits.qualityExamplesMax) {
        running.examples.push({ row: this.rows, value: shortened(found) });
      }
      if (leavesOut(check) && out?.check.severity !== 'quarantine') out = running;
    }
    if (out === undefined) {
      for (const { table } of this.#checks) table?.add(row);
      return true;
    }
    if (out.check.severity === 'quarantine') {
      this.quarantined.add(out.name, `row ${this.rows} fails the check ${out.name}`, row);
    } else this.dropped += 1;
    return false;
  }

  #result(running: Running): CheckResult & { readonly problem: string | undefined } {
    const { check, name, table, violations, examples } = running;
    const { severity } = check;
    if (table === undefined) {
      const passed = violations === 0;
      const problem = passed ? undefined : rowsProblem(violations, examples);
      return { name, severity, passed, violations, measured: null, examples, problem };
    }
    const { problem, measured, value } = table.finish();
    if (value !== undefined) this.measures[name] = value;
    const passed = problem === undefined;
    return { name, severity, passed, violations: passed ? 0 : 1, measured, examples, problem };
  }
}

function leavesOut({ severity }: QualityCheck): boolean {
  return severity === 'drop' || severity === 'quarantine';
}

function order({ check }: Running): number {
  return check.unique === undefined ? 0 : 1;
}

export function rowsProblem(violations: number, examples: readonly Json[]): string {
  const shown = examples.map((example) => {
    const { row, value } = example as { readonly row?: number; readonly value: Json };
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return row === undefined ? text : `row ${row}: ${text}`;
  });
  return `${violations} ${violations === 1 ? 'row' : 'rows'} (${shown.join('; ')})`;
}

export function shortened(value: Json): Json {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= limits.qualityExampleCharsMax
    ? value
    : `${text.slice(0, limits.qualityExampleCharsMax)}…`;
}
