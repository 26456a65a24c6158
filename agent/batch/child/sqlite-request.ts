/** What the agent asks of the child that works on a SQLite database (run-sqlite.ts). */
import type { Json } from '@runnel/shared/engine/record.ts';
import type { ChangeCounts } from '../changes/change-batch.ts';
import type { ChangesFile } from '../changes/read-changes.ts';

export interface SqliteExtractRequest {
  readonly action: 'extract';
  readonly path: string;
  readonly busyTimeoutMs: number;
  readonly query: string;
  /** By name, without the `$`. */
  readonly parameters: Readonly<Record<string, Json>>;
  /** New file for the rows as JSON lines. */
  readonly file: string;
  readonly rowsMax: number;
}

export interface SqliteLoadRequest {
  readonly action: 'load';
  readonly path: string;
  readonly busyTimeoutMs: number;
  readonly table: string;
  readonly mode: 'append' | 'upsert' | 'replace' | 'changes';
  readonly key: readonly string[];
  readonly where: Readonly<Record<string, Json>> | null;
  /** Columns of the table, and those of the input that they take. */
  readonly columns: readonly {
    readonly to: string;
    readonly from: string;
    readonly type: string;
  }[];
  readonly create: boolean;
  /** Files of JSON lines, in order. */
  readonly inputs: readonly string[];
  /** With the mode `changes`; else null. */
  readonly changes: ChangesFile | null;
  readonly run: LedgerRow;
}

/** What `runnel_runs` keeps of a load. */
export interface LedgerRow {
  readonly effectKey: string;
  readonly job: string;
  readonly partition: string;
  readonly task: string;
  readonly tries: number;
  /** ISO 8601. */
  readonly loadedAt: string;
  /** Of what is loaded: io/content-hash.ts. */
  readonly content: string;
}

export interface SqliteReindexRequest {
  readonly action: 'reindex';
  readonly path: string;
  readonly busyTimeoutMs: number;
  /** Null: all. */
  readonly tables: readonly string[] | null;
  readonly dryRun: boolean;
}

export interface SqliteReindexAnswer {
  /** As SQLite tells them. */
  readonly found: readonly string[];
  readonly problems: number;
  readonly repaired: number;
}

export type SqliteRequest = SqliteExtractRequest | SqliteLoadRequest | SqliteReindexRequest;

export interface SqliteLoadAnswer {
  readonly loaded: boolean;
  readonly rows: number;
  /** Of `changes`, in this attempt or in the one that loaded them. */
  readonly counts: ChangeCounts | null;
}
