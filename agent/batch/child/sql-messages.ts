/**
 * The work `sql` of the child. It is a conversation, so that the journal is exported only once the
 * query has told which part of it it needs:
 *
 *     request    the query, its bound values, names that stand for tables
 *     ask        what the query wants of each table: a range of `_time`, columns
 *     answer     the files of each table, in the scratch directory
 *     done       what the query gave
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { TableRef } from '../records.ts';

export interface SqlRequest {
  /** One SELECT; `$1`, `$2`, … are bound. */
  readonly query: string;
  readonly values: readonly Json[];
  /** Names in the query that stand for tables of ours. */
  readonly tables: readonly string[];
  /** Absolute; nothing outside of it can be read or written. */
  readonly scratchDir: string;
  readonly tempBytesMax: number;
  /** Where the rows go, as JSON lines. */
  readonly rowsFile: string;
  readonly bytesMax: number;
  readonly rowBytesMax: number;
  /** And, where it is set, as this. */
  readonly copy: { readonly format: 'parquet' | 'csv'; readonly file: string } | null;
}

/** What the query wants of one table. */
export interface TableWish {
  readonly table: string;
  /** `_time` in `[fromMs, toMs)`; null where the query names no bound. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
  /** Columns that it names. */
  readonly columns: readonly string[];
}

/** Asked once, before anything is read. */
export interface SqlWishes {
  readonly tables: readonly TableWish[];
  /** Other names in the place of tables: ids of tasks, or of nothing. */
  readonly others: readonly TableWish[];
}

export interface TableInput {
  readonly table: string;
  readonly format: 'jsonl' | 'json' | 'csv' | 'parquet';
  /** In the scratch directory. */
  readonly files: readonly string[];
  readonly rows: number | null;
  /** Known to be there even when no row has them: SQL types, `"NULL"` where nothing is known. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Of a dataset: `_partition` and `_start` of each file. */
  readonly partitions: readonly { readonly id: string; readonly start: number }[] | null;
}

export interface SqlAnswer {
  readonly rows: number;
  readonly columns: TableRef['columns'];
}
