/**
 * What datasets there are, how many rows each has and when the last one came. Counted
 * incrementally in steps, because counting ten million rows at every look would stall the
 * process; the first look after a start counts what is there. Rows are deleted through here too,
 * in turn with the counting, so that each counts once on its way in and once on its way out.
 */
import type { Kysely } from 'kysely';
import { Turns } from '../turns.ts';
import type { ExpiredResult } from './expire-rows.ts';
import { newestResultId, oldestResultId } from './results.ts';
import type { Schema } from './schema.ts';

const STEP_ROWS = 20_000;

export interface DatasetRecord {
  readonly dataset: string;
  /** The job whose row came last. */
  readonly job: string;
  readonly rows: number;
  /** When the control plane stored the last row. */
  readonly lastAt: number;
}

export class DatasetStats {
  readonly #db: Kysely<Schema>;
  readonly #pause: () => Promise<void>;
  readonly #byName = new Map<string, DatasetRecord>();
  readonly #turns = new Turns();
  /** Every row up to this id is counted. */
  #counted = 0;
  #nextCount: Promise<void> | undefined;

  /** `pause` lets other work run between two steps. */
  constructor(db: Kysely<Schema>, pause: () => Promise<void>) {
    this.#db = db;
    this.#pause = pause;
  }

  /** By name; includes every row that was stored when this was called. */
  async list(): Promise<DatasetRecord[]> {
    // A count that runs already may miss the newest row: all who come share the one after it.
    this.#nextCount ??= this.#turns.take(async () => {
      this.#nextCount = undefined;
      await this.#count();
    });
    await this.#nextCount;
    return [...this.#byName.values()].toSorted((a, b) => a.dataset.localeCompare(b.dataset));
  }

  /** Runs a deletion and takes what it deleted off the counts. */
  remove(deletion: () => Promise<ExpiredResult[]>): Promise<ExpiredResult[]> {
    return this.#turns.take(async () => {
      const rows = await deletion();
      for (const { id, kind, dataset } of rows) {
        const old = this.#byName.get(dataset);
        if (kind !== 'result' || id > this.#counted || old === undefined) continue;
        if (old.rows > 1) this.#byName.set(dataset, { ...old, rows: old.rows - 1 });
        else this.#byName.delete(dataset);
      }
      return rows;
    });
  }

  async #count(): Promise<void> {
    const end = await newestResultId(this.#db);
    this.#counted = Math.max(this.#counted, (await oldestResultId(this.#db)) - 1);
    while (this.#counted < end) {
      const to = Math.min(this.#counted + STEP_ROWS, end);
      await this.#countStep(this.#counted, to);
      this.#counted = to;
      if (to < end) await this.#pause();
    }
  }

  async #countStep(after: number, to: number): Promise<void> {
    const groups = await this.#db
      .selectFrom('results')
      .select((e) => [
        'dataset',
        'job',
        e.fn.countAll<number | string>().as('rows'),
        e.fn.max('received_at').as('last_at'),
        e.fn.max('id').as('last_id'),
      ])
      .where('kind', '=', 'result')
      .where('id', '>', after)
      .where('id', '<=', to)
      .groupBy(['dataset', 'job'])
      .orderBy('last_id')
      .execute();
    for (const group of groups) {
      const old = this.#byName.get(group.dataset);
      this.#byName.set(group.dataset, {
        dataset: group.dataset,
        job: group.job,
        rows: (old?.rows ?? 0) + Number(group.rows),
        lastAt: group.last_at,
      });
    }
  }
}
