/**
 * Checks what is derived from other data, and makes it anew where it differs.
 *
 * A task of its own, and no option of `compact`: that one moves pages and looks at no record, costs
 * as much as the store is large, and knows no database but the agent's.
 */
import { z } from 'zod';
import {
  checked,
  databaseName,
  postgresFields,
  postgresProblem,
  sqliteFields,
} from '../database-fields.ts';
import { limits } from '../../limits.ts';
import { exactlyOne } from '../rows-input.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';

const tables = z.array(databaseName).min(1).max(100);

export const reindexTask = defineTask({
  kind: 'reindex',
  summary: "Checks the indexes of the agent's store or of a database, and rebuilds them.",
  guarantees: [
    "The agent's store: what is derived (the list of a job's runs, which runs are open, " +
      'completions of partitions, the number of the next run, what the outbox holds) is compared ' +
      'with the runs and rows it is derived from. What differs is looked at once more and mended ' +
      'in one commit, while jobs go on; a store that is right is not written to.',
    'No run, row, cursor or dataset is removed. A run that nobody knew to be open goes on at the ' +
      'next start of the agent.',
    'SQLite: `integrity_check`, then REINDEX and ANALYZE in one transaction, which ends with ' +
      'the check again. What indexes cannot mend fails the attempt as `data`, `sqlite_damaged`, ' +
      'and stays as it was; pages that nothing uses are told, and stay.',
    'PostgreSQL: REINDEX CONCURRENTLY, so that others go on reading and writing, and ANALYZE; ' +
      'indexes that an attempt which was cut off left behind are dropped first. It takes the ' +
      'right of an owner of the table.',
    'Doing it again is harmless.',
  ],
  output:
    'Store: `{ checked, missing, orphaned, wrong, repaired }`: records that were looked at, that ' +
    'were not there, that belong to nothing, that said something else, and how many were mended. ' +
    'SQLite: `{ problems, repaired }`. PostgreSQL: `{ indexes, leftovers, rebuilt }`.',
  fields: {
    store: z.literal(true).optional().describe("The agent's own store. Example: `true`."),
    sqlite: checked(
      {
        ...sqliteFields,
        tables: tables
          .optional()
          .describe('Tables whose indexes are rebuilt. Default: all. Example: `[daily_rms]`.'),
      },
      () => undefined,
    )
      .optional()
      .describe('A SQLite file; needs `sqlite` at the agent.'),
    postgres: checked(
      {
        ...postgresFields,
        tables: tables.describe('Tables; with a schema as `schema.table`. Example: `[daily_rms]`.'),
        concurrently: z
          .boolean()
          .default(true)
          .describe('false: faster, and whoever writes to the table waits meanwhile.'),
      },
      postgresProblem,
    )
      .optional()
      .describe('Tables of a PostgreSQL database.'),
    dryRun: z.boolean().default(false).describe('Says what there is, and changes nothing.'),
  },
  memory: ({ sqlite }) => (sqlite === undefined ? 0 : limits.sqliteMemoryBytesMax),
  requires: ({ sqlite }) => (sqlite === undefined ? [] : ['sqlite']),
  problem: (config) => exactlyOne(config, ['store', 'sqlite', 'postgres']),
  examples: [
    {
      title: "The agent's own store",
      yaml: '- { id: verify, reindex: { store: true } }',
    },
    {
      title: 'A SQLite file that other programs write to as well',
      yaml: '- { id: mes, reindex: { sqlite: { path: mes.db } }, timeout: 10m }',
    },
    {
      title: 'A table that `load` writes to every night',
      yaml: [
        '- id: warehouse',
        '  reindex:',
        '    postgres:',
        '      url: "postgres://runnel@db.site.example/mes"',
        '      password: { env: RUNNEL_SECRET_MES_DB }',
        '      tables: [daily_rms, runnel_runs]',
      ].join('\n'),
    },
  ],
});

export type ReindexTaskConfig = ConfigOf<typeof reindexTask>;
