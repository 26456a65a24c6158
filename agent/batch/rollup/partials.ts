/**
 * What a group's values were made of, as JSON beside them, so that a coarser rollup can go on from
 * there: for every aggregate call its numbers and cells (shared/engine/aggregates/aggregate.ts).
 *
 * By call and not by place, so that the coarser rollup may have fewer of them, in another order.
 * JSON has no infinities, which minimum and maximum begin with: they are written as texts.
 */
import type { AggregationPlan } from '@runnel/shared/engine/aggregates/aggregation.ts';
import type { Tally } from '@runnel/shared/engine/aggregates/aggregate.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { StateValue } from '@runnel/shared/engine/state.ts';
import { TaskError } from '../tasks/task-error.ts';

export const PARTIAL_FORMAT = 1;

type Calls = Readonly<Record<string, { readonly n: readonly Json[]; readonly c: readonly Json[] }>>;

export interface Partial {
  readonly [key: string]: Json;
  readonly format: number;
}

export function partialOf(plan: AggregationPlan, tally: Tally): Partial {
  const calls: Record<string, Json> = {};
  for (const { call, numberAt, numbers, cellAt, cells } of plan.accumulators) {
    calls[call] = {
      n: tally.n.slice(numberAt, numberAt + numbers).map(written),
      c: tally.c.slice(cellAt, cellAt + cells) as Json[],
    };
  }
  return { format: PARTIAL_FORMAT, calls };
}

/** Throws `TaskError` when it lacks a call, or is of a newer format. */
export function tallyOf(plan: AggregationPlan, partial: Json | undefined): Tally {
  const { format, calls } = (partial ?? {}) as { format?: number; calls?: Calls };
  if (calls === undefined || format !== PARTIAL_FORMAT) {
    throw new TaskError(
      'data',
      'no_partial',
      'a row of the finer rollup has no _partial to merge',
      {
        hint: 'from: names the dataset of a rollup task.',
      },
    );
  }
  const tally: Tally = { n: [], c: [] };
  for (const { call, numberAt, cellAt } of plan.accumulators) {
    const part = calls[call];
    if (part === undefined) throw missing(call, Object.keys(calls));
    for (const [index, value] of part.n.entries()) tally.n[numberAt + index] = read(value);
    // Merging changes cells in place: they are not to be those of the row.
    for (const [index, value] of part.c.entries()) {
      tally.c[cellAt + index] = structuredClone(value) as StateValue;
    }
  }
  return tally;
}

function missing(call: string, known: readonly string[]): TaskError {
  return new TaskError('definition', 'call_missing', `the finer rollup has no ${call}`, {
    hint: `It has ${known.join(', ')}: write the call in the same way, or add it there.`,
  });
}

function written(value: number): Json {
  return Number.isFinite(value) ? value : String(value);
}

function read(value: Json): number {
  return Number(value);
}
