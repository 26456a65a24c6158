/**
 * A query over what the device holds.
 */
import { z } from 'zod';
import { columnField, datasetField } from '../rows-input.ts';
import { size } from '../size.ts';
import type { ConfigOf } from '../source-definition.ts';
import { findReferences, type ReferenceKind } from '../sql-references.ts';
import { strict } from '../strict.ts';
import { defineTask } from '../task-definition.ts';
import { memorySetting } from '../task-memory.ts';

const MIB = 1024 * 1024;
/** Below it Node and DuckDB cannot start. */
const MEMORY_BYTES_MIN = 128 * MIB;
const QUERY_CHARS_MAX = 65_536;
const FILES = ['parquet', 'csv', 'jsonl'] as const;

const file = (example: string): z.ZodOptional<z.ZodString> =>
  z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe(
      `File, replaced whole; relative paths are below the data directory. Example: \`${example}\`.`,
    );

const output = strict({
  parquet: file('rollup/{{ partition.date }}.parquet'),
  csv: file('reports/{{ partition.date }}.csv'),
  jsonl: file('out/{{ partition.date }}.jsonl'),
  dataset: datasetField
    .optional()
    .describe("Dataset whose partition, the run's, the rows become. Example: `daily-rms`."),
  deliver: z
    .boolean()
    .default(false)
    .describe('With `dataset`: whether the rows go to the control plane too.'),
  results: datasetField
    .optional()
    .describe('Dataset at the control plane that the rows are sent to. Example: `bearing-rms`.'),
  key: columnField
    .optional()
    .describe('With `dataset` or `results`: column that is the key of a row. Example: `machine`.'),
}).superRefine((given, context) => {
  const files = FILES.filter((format) => given[format] !== undefined);
  if (files.length > 1) context.addIssue('names several files; one is written');
  const rows = [given.dataset, given.results].filter((name) => name !== undefined);
  if (rows.length > 1) context.addIssue('has dataset beside results; use dataset with deliver');
  if (files.length + rows.length === 0) {
    context.addIssue('needs one of parquet, csv, jsonl, dataset, results');
  }
  if (given.deliver && given.dataset === undefined) {
    context.addIssue({ code: 'custom', path: ['deliver'], message: 'goes with dataset' });
  }
  if (given.key !== undefined && rows.length === 0) {
    context.addIssue({ code: 'custom', path: ['key'], message: 'goes with dataset or results' });
  }
});

export type SqlOutput = z.output<typeof output>;

export const sqlTask = defineTask({
  kind: 'sql',
  summary: 'Runs a query (DuckDB) over the journal, datasets, files and the rows of earlier tasks.',
  guarantees: [
    'In a process of its own, with one thread, bounded memory and bounded space to spill to: out ' +
      'of memory, or a crash, is a failed attempt.',
    'The query sees what it names and nothing else: no other file, no network, no extension, no ' +
      'option; it is one SELECT.',
    '`{{ }}` is a bound value, never text.',
    'Of the journal only the blocks are read that the range of times can touch. The range is ' +
      'what `journal(name, from, to)` says, and comparisons of `_time` with constants and bound ' +
      'values that are ANDed in the WHERE of the SELECT that reads it.',
    'Files are written beside and renamed; an attempt that is made again replaces them.',
  ],
  output:
    '`{ rowCount, columns, rows?, inputs }`, with `file` and `bytes` where a file was written ' +
    'and `dataset` where one was. `inputs` has the rows that were read of each name.',
  fields: {
    query: z
      .string()
      .min(1)
      .max(QUERY_CHARS_MAX)
      .describe(
        "One SELECT. Tables: `journal('source')` or `journal('source', from, to)` with the " +
          "fields of the payload, `_time` (epoch ms) and `_topic`; `dataset('name')` with " +
          "`_partition` and `_start`, all its partitions; `task('id')`, or the id of a needed " +
          'task by itself; ' +
          "`file('path')` for parquet, csv, json and jsonl, `*` in the last part of the path. " +
          'Whole numbers are BIGINT, other numbers DOUBLE, texts VARCHAR (times in texts too: ' +
          'cast them), fields that differ between rows JSON. The time zone of the query is UTC.',
      ),
    output: output.optional().describe('Where the rows go beside the tasks behind this one.'),
    memory: size
      .prefault('256MiB')
      .describe(
        'Memory of the process, of which some 96 MiB are not for the query; at least that counts ' +
          'as `cost.memory`.',
      ),
    temp: size.prefault('512MiB').describe('Space that the query may spill to on disk.'),
  },
  raw: ['query'],
  memory: ({ memory }) => memorySetting(memory, 256 * MIB),
  requires: () => ['sql'],
  reads: ({ query }) => namesOf(query, 'task'),
  journals: ({ query }) => namesOf(query, 'journal'),
  datasets: (config) => (config.output?.dataset === undefined ? [] : [config.output.dataset]),
  problem: ({ query, memory }) => {
    const found = findReferences(query);
    if ('problem' in found) return ['query', `${found.problem}: ${found.hint}`];
    if (memory < MEMORY_BYTES_MIN) return ['memory', 'must be at least 128MiB'];
    return undefined;
  },
  examples: [
    {
      title: 'A day of the journal as Parquet',
      yaml: [
        '- id: daily',
        '  sql:',
        '    query: >',
        "      SELECT machine, avg(rms) AS rms, count(*) AS n FROM journal('readings')",
        '      WHERE _time >= {{ partition.start }} AND _time < {{ partition.end }}',
        '      GROUP BY machine ORDER BY machine',
        '    output: { parquet: "rollup/{{ partition.date }}.parquet" }',
      ].join('\n'),
    },
    {
      title: 'Rows of an earlier task beside a file, as a dataset',
      yaml: [
        '- id: worst',
        '  needs: [daily]',
        '  sql:',
        '    query: >',
        "      SELECT d.machine, d.rms, l.limit_rms FROM daily d JOIN file('limits.csv') l",
        '      USING (machine) WHERE d.rms > l.limit_rms',
        '    output: { dataset: worst-machines, key: machine, deliver: true }',
      ].join('\n'),
    },
  ],
});

function namesOf(query: string, kind: ReferenceKind): string[] {
  const found = findReferences(query);
  if ('problem' in found) return [];
  return [...new Set(found.filter((each) => each.kind === kind).map(({ name }) => name))];
}

export type SqlTaskConfig = ConfigOf<typeof sqlTask>;
