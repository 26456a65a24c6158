/**
 * `job.test.yaml` of a batch job: what the device has, and what the run must leave behind.
 *
 *     tests:
 *       - name: a day becomes one row a machine
 *         at: 2026-11-23T00:15:00Z          # the time that the run stands for; or epoch ms
 *         partition: 2026-11-22             # default: the newest whole one at that time
 *         params: { minRms: 0.1 }           # over the job's defaults
 *         env: { RUNNEL_SECRET_TOKEN: x }   # all that credentials by reference find
 *         policy: { commands: [/bin/df] }   # as policy.yaml; default: what dry-run allows
 *         input:                            # the journal, by source
 *           readings:
 *             - { time: 1h, topic: press/1, payload: { machine: m1 } }
 *         datasets:                         # partitions that are there, rows by id
 *           daily-rms: { "2026-11-21": [{ machine: m1, rms: 0.4 }] }
 *         files: { in/a.csv: "a,b" }        # below the data directory
 *         http:                             # a server of the test; the parameter gets its address
 *           param: url
 *           answers: [{ method: GET, path: /rows, status: 200, body: [{ id: 1 }] }]
 *         expect:                           # each as far as it is given
 *           state: success
 *           tasks:
 *             daily: { state: success, output: { rowCount: 1 }, rows: [{ machine: m1 }] }
 *             share: skipped                # or { items: 3 }, { error: data }, { attempt: 2 }
 *           results: { daily-rms: [{ machine: m1 }] }      # rows for the control plane
 *           datasets: { daily-rms: { "2026-11-22": [{ machine: m1 }] } }
 *           files: { rollup/x.parquet: [{ machine: m1 }], out.txt: text, gone.csv: null }
 *           http: [{ method: POST, path: /hook, body: { day: 2026-11-22 } }]
 *         later:                            # later runs on the same device
 *           - { at: 2026-11-24T00:15:00Z, answers: [], expect: { state: success } }
 *
 * A record's `time` (its arrival) is ISO 8601, epoch ms, or a duration after the start of the
 * partition. Rows of files are those of Parquet, CSV, JSON lines and JSON.
 */
import { parseAt, strict, withHint } from '@runnel/shared/definitions/strict.ts';
import { readDocuments, withLocations } from '@runnel/shared/definitions/yaml-document.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import { TASK_STATES } from '@runnel/shared/protocol/runs.ts';
import { z } from 'zod';
import { instantOf } from './instant-option.ts';

const instant = z.union([z.number(), z.string()]).transform((value, context): number => {
  const ms = typeof value === 'number' ? value : instantOf(value);
  if (ms !== undefined) return ms;
  const message = withHint(`"${value}" is no time`, 'for example 2026-11-23T00:15:00Z');
  context.issues.push({ code: 'custom', input: value, message });
  return z.NEVER;
});

/** Milliseconds; `afterStart`: since the start of the partition. */
const recordTime = z
  .union([z.number(), z.string()])
  .transform((value, context): { readonly ms: number; readonly afterStart: boolean } => {
    if (typeof value === 'number') return { ms: value, afterStart: false };
    const duration = durationOf(value);
    const ms = duration ?? instantOf(value);
    if (ms !== undefined) return { ms, afterStart: duration !== undefined };
    const hint = 'for example 2026-11-22T10:00:00Z, or 10h after the start of the partition';
    const message = withHint(`"${value}" is no time`, hint);
    context.issues.push({ code: 'custom', input: value, message });
    return z.NEVER;
  });

const row = z.record(z.string(), z.unknown());
const rows = z.array(row);
const state = z.enum(TASK_STATES);
const expectedTask = strict({
  state: state.optional(),
  output: z.unknown().optional(),
  rows: rows.optional(),
  error: z.string().optional().describe('Class or code of the error.'),
  attempt: z.number().int().optional(),
  items: z.number().int().optional(),
});
export type ExpectedTask = z.output<typeof expectedTask>;
const task = z.union([state.transform((name): ExpectedTask => ({ state: name })), expectedTask]);
const datasets = z.record(z.string(), z.record(z.string(), rows)).default({});
const answer = strict({
  method: z.string().default('GET'),
  path: z.string(),
  status: z.number().int().min(100).max(599).default(200),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
});

/** One run, and what it must leave behind. */
const stepFields = {
  at: instant,
  partition: z.string().optional(),
  fullRefresh: z.boolean().default(false),
  input: z
    .record(
      z.string(),
      z.array(strict({ time: recordTime, topic: z.string().default(''), payload: z.unknown() })),
    )
    .default({}),
  datasets,
  files: z.record(z.string(), z.string()).default({}),
  expect: strict({
    state: z.enum(['success', 'failed', 'cancelled']).default('success'),
    tasks: z.record(z.string(), task).default({}),
    results: z.record(z.string(), rows).default({}),
    datasets,
    files: z.record(z.string(), z.union([z.null(), z.string(), rows])).default({}),
    http: z.array(row).optional(),
  }),
};

const testFile = strict({
  tests: z
    .array(
      strict({
        name: z.string().min(1),
        params: row.default({}),
        env: z.record(z.string(), z.string()).default({}),
        policy: row.optional(),
        http: strict({ param: z.string(), answers: z.array(answer) }).optional(),
        ...stepFields,
        later: z.array(strict({ ...stepFields, answers: z.array(answer).optional() })).default([]),
      }),
    )
    .min(1),
});

export type BatchTest = z.output<typeof testFile>['tests'][number];
export type BatchStep = BatchTest['later'][number];
export type HttpAnswer = z.output<typeof answer>;

/** Throws `DefinitionError` with every issue. */
export function parseBatchTests(
  text: string,
  job: { readonly sources: readonly string[]; readonly tasks: readonly string[] },
): readonly BatchTest[] {
  const [document] = readDocuments(text);
  const issues: DefinitionIssue[] = [];
  const parsed = parseAt(testFile, document?.value, [], issues);
  const unknown = (path: string, what: string, name: string, known: readonly string[]): void => {
    if (known.includes(name)) return;
    const hint = known.length === 0 ? `it has none` : `it has: ${known.join(', ')}`;
    issues.push({ path, message: `the job has no ${what} "${name}"`, hint });
  };
  const check = (path: string, { input, expect }: Pick<BatchStep, 'input' | 'expect'>): void => {
    for (const source of Object.keys(input)) {
      unknown(`${path}.input.${source}`, 'source', source, job.sources);
    }
    for (const id of Object.keys(expect.tasks)) {
      unknown(`${path}.expect.tasks.${id}`, 'task', id, job.tasks);
    }
  };
  for (const [index, test] of (parsed?.tests ?? []).entries()) {
    check(`tests[${index}]`, test);
    for (const [at, step] of test.later.entries()) check(`tests[${index}].later[${at}]`, step);
  }
  if (parsed !== undefined && issues.length === 0) return parsed.tests;
  throw new DefinitionError(
    document === undefined ? issues : withLocations(issues, (path) => document.locate(path)),
  );
}
