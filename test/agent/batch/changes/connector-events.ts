/** Events in the shapes that Debezium's manual documents for its connectors, on one table. */
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';

const VERSION = '2.7.3.Final';

/** `customers` of the PostgreSQL connector: `lsn`, and what is around it. */
export function postgresEvent(
  op: string,
  lsn: number,
  sides: { readonly before?: Row | null; readonly after?: Row | null } = {},
): Row {
  return {
    ...(op !== 't' && { before: sides.before ?? null, after: sides.after ?? null }),
    source: {
      version: VERSION,
      connector: 'postgresql',
      name: 'plant',
      ts_ms: 1_559_033_904_863,
      snapshot: op === 'r' ? 'true' : 'false',
      db: 'mes',
      sequence: `["${lsn - 8}","${lsn}"]`,
      schema: 'public',
      table: 'customers',
      txId: 556,
      lsn,
      xmin: null,
    },
    transaction: null,
    op,
    ts_ms: 1_559_033_904_961,
  };
}

export function mysqlEvent(
  op: string,
  [file, pos, row]: readonly [string, number, number],
  sides: { readonly before?: Row | null; readonly after?: Row | null },
): Row {
  return {
    before: sides.before ?? null,
    after: sides.after ?? null,
    source: {
      version: VERSION,
      connector: 'mysql',
      name: 'mysql-server-1',
      ts_ms: 1_465_581_029_000,
      snapshot: 'false',
      db: 'inventory',
      table: 'customers',
      server_id: 223_344,
      gtid: null,
      file,
      pos,
      row,
      thread: 7,
      query: null,
    },
    op,
    ts_ms: 1_465_581_029_523,
  };
}

export function sqlServerEvent(
  op: string,
  commit: string,
  change: string | null,
  sides: { readonly before?: Row | null; readonly after?: Row | null },
): Row {
  return {
    before: sides.before ?? null,
    after: sides.after ?? null,
    source: {
      version: VERSION,
      connector: 'sqlserver',
      name: 'server1',
      ts_ms: 1_559_729_468_470,
      snapshot: change === null ? 'true' : 'false',
      db: 'testDB',
      schema: 'dbo',
      table: 'customers',
      change_lsn: change,
      commit_lsn: commit,
      event_serial_no: change === null ? null : 1,
    },
    op,
    ts_ms: 1_559_729_471_739,
  };
}

/** With the schema that Kafka Connect's JSON converter puts around it. */
export function withSchema(event: Row, fields: readonly Row[]): Row {
  const side = (field: string): Row => ({ type: 'struct', fields, optional: true, field });
  const schema = {
    type: 'struct',
    fields: [side('before'), side('after'), { type: 'string', optional: false, field: 'op' }],
    optional: false,
    name: 'plant.public.customers.Envelope',
  };
  return { schema, payload: event };
}
