/**
 * `job.test.yaml`: the tests of a job, beside its document.
 *
 *     tests:
 *       - name: a hot machine raises an alert
 *         params: { limit: 10 }            # over the job's defaults
 *         input:
 *           readings:                      # by source; lines as for dry-run
 *             - { time: 1s, topic: press/1, payload: { v: 12 } }
 *             - { now: 1m }                # or { watermark: 1m }
 *         flush: true                      # close what is open at the end; the default
 *         expect:                          # in order, each as far as it is given
 *           - { output: alert, key: m1, value: { status: firing } }
 *         deadLetters:                     # likewise; none when it is left out
 *           - { step: rms, reason: missing_key }
 *
 * Times are milliseconds or durations since 0 (`10s`).
 */
import { readDocuments } from '@runnel/shared/definitions/yaml-document.ts';
import { parseAt, strict, withHint } from '@runnel/shared/definitions/strict.ts';
import type { DryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import type { EpochMs } from '@runnel/shared/ids.ts';
import { z } from 'zod';

const time = z.union([z.number(), z.string()]).transform((value, context): EpochMs => {
  const ms = typeof value === 'string' ? durationOf(value) : Math.floor(value);
  if (ms !== undefined) return ms as EpochMs;
  const problem = withHint(`"${value}" is no time`, 'write milliseconds, or a duration: 10s, 1m');
  context.issues.push({ code: 'custom', input: value, message: problem });
  return z.NEVER;
});

const line = z.union(
  [
    strict({ watermark: time }).transform(({ watermark }): DryRunEntry => ({
      kind: 'watermark',
      timeMs: watermark,
    })),
    strict({ now: time }).transform(({ now }): DryRunEntry => ({ kind: 'now', timeMs: now })),
    strict({
      time,
      topic: z.string().default(''),
      payload: z.unknown(),
      meta: z.record(z.string(), z.unknown()).default({}),
    }).transform(({ time: timeMs, topic, payload, meta }): DryRunEntry => ({
      kind: 'record',
      timeMs,
      record: { topic, payload: payload ?? null, meta },
    })),
  ],
  {
    error: withHint(
      'is no input line',
      'write { time: 1s, topic: a/b, payload: … }, { watermark: 1m } or { now: 1m }',
    ),
  },
);

const partial = z.record(z.string(), z.unknown());

const testFile = strict({
  tests: z
    .array(
      strict({
        name: z.string().min(1),
        params: z.record(z.string(), z.unknown()).default({}),
        input: z.record(z.string(), z.array(line)),
        flush: z.boolean().default(true),
        expect: z.array(partial),
        deadLetters: z.array(partial).default([]),
      }),
    )
    .min(1),
});

export type JobTest = z.output<typeof testFile>['tests'][number];

/** Throws `DefinitionError` with every issue. `sources` are the aliases of the job. */
export function parseJobTests(text: string, sources: readonly string[]): readonly JobTest[] {
  const [document] = readDocuments(text);
  const issues: DefinitionIssue[] = [];
  const parsed = parseAt(testFile, document?.value, [], issues);
  for (const [index, test] of (parsed?.tests ?? []).entries()) {
    for (const source of Object.keys(test.input)) {
      if (sources.includes(source)) continue;
      issues.push({
        path: `tests[${index}].input.${source}`,
        message: `the job has no source "${source}"`,
        hint: `its sources: ${sources.join(', ')}`,
      });
    }
  }
  if (parsed === undefined || issues.length > 0) throw new DefinitionError(issues);
  return parsed.tests;
}
