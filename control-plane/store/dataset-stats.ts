/**
 * What datasets there are, how many rows each has and when the last one came. Counted
 * incrementally in steps, because counting ten million rows at every look would stall the
 * process; the first look after a start counts what is there.
 */
import type { Kysely } from 'kysely';
import { newestResultId } from './results.ts';
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
  #counted = 0;
  #counting: Promise<void> | undefined;

  /** `pause` lets other work run between two steps. */
  constructor(db: Kysely<Schema>, pause: () => Promise<void>) {
    this.#db = db;
    this.#pause = pause;
  }

  /** By name; includes every row that was stored when this was called. */
  async list(): Promise<DatasetRecord[]> {
    const before = this.#counting;
    if (before !== undefined) await before;
    this.#counting ??= this.#count().finally(() => {
      this.#counting = undefined;
    });
    await this.#counting;
    return [...this.#byName.values()].toSorted((a, b) => a.dataset.localeCompare(b.dataset));
  }

  async #count(): Promise<void> {
    const end = await newestResultId(this.#db);
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
