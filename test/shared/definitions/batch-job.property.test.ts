/** A document that parses means the same after it went through canonical JSON. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TRIGGER_RULES } from '@runnel/shared/definitions/batch-job.ts';
import { canonicalJson } from '@runnel/shared/definitions/canonical-json.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import { sampleParameters } from '@runnel/shared/definitions/parameters.ts';
import { parseJob, parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { sampleScope } from '@runnel/shared/definitions/sample-scope.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
const duration = fc.constantFrom('250ms', '10s', '1h30m', '1d');

/** Any JSON, with templates among it that hold in every task. */
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, 1, -2.5, 'text', 'it is {{ params.n }}', '{{ partition.date }}'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 3 }),
  ),
})).value;

const schedule = fc
  .record({
    cron: optional(fc.constantFrom('15 0 * * *', '*/5 * * * *', ['@daily', '0 0 1 1 *'])),
    every: optional(fc.constantFrom('15m', '1d', '1mo')),
    at: optional(fc.constantFrom('2026-12-01T06:00', ['2026-12-01', '2027-01-01T00:00:00+02:00'])),
    onStartup: optional(fc.oneof(fc.constant(true), fc.record({ delay: duration }))),
    timezone: optional(fc.constantFrom('UTC', 'Europe/Paris', 'Australia/Lord_Howe')),
    overlap: optional(fc.constantFrom('skip', 'bufferOne', 'allow')),
    jitter: optional(duration),
  })
  .filter(({ cron, every, at, onStartup }) => Boolean(cron ?? every ?? at ?? onStartup));

const task = fc.record({
  trigger: optional(fc.constantFrom(...TRIGGER_RULES)),
  when: optional(fc.constantFrom('params.n > 0', "partition.date != ''")),
  forEach: optional(fc.oneof(fc.array(value, { maxLength: 3 }), fc.constant('[1, 2]'))),
  timeout: optional(duration),
  retry: optional(fc.record({ attempts: fc.integer({ min: 1, max: 9 }) })),
  priority: optional(fc.integer({ min: -5, max: 5 })),
  value: optional(fc.record({ value })),
});

/** Tasks that need some of those before them. */
const tasks = fc
  .array(fc.tuple(task, fc.array(fc.nat(), { maxLength: 3 })), { minLength: 1, maxLength: 12 })
  .map((list) =>
    list.map(([each, needs], index) => ({
      id: `t${index}`,
      ...(index === 0 ? {} : { needs: [...new Set(needs.map((n) => `t${n % index}`))] }),
      ...each,
    })),
  );

const document = fc
  .record({
    apiVersion: fc.constant('runnel/v1'),
    kind: fc.constant('BatchJob'),
    metadata: fc.record({ name }),
    parameters: fc.constant({ n: { type: 'number', default: 1 } }),
    schedule: optional(schedule),
    partition: optional(fc.record({ every: fc.constantFrom('1h', '1d', '1w') })),
    tasks,
  })
  .map((each) => JSON.parse(JSON.stringify(each)) as unknown);

describe('any document that is right', () => {
  test('parses, compiles, and is the same job after canonical JSON', () => {
    fc.assert(
      fc.property(document, (written) => {
        const job = parseJobDocument(written);
        const again = parseJob(canonicalJson(job.document)).job;
        // Only the order of keys may differ: what it was written as, and the settings in it.
        expect(canonicalJson(again)).toBe(canonicalJson(job));
        if (job.kind !== 'BatchJob') throw new Error('no batch job');
        const program = compileBatchJob(job, sampleParameters(job.parameters));
        const scope = sampleScope(job.name, job.partition);
        for (const each of program.tasks) {
          each.config(scope);
          each.when?.(scope);
          each.forEach?.items(scope);
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('any document at all', () => {
  const key = fc.constantFrom(
    ...['id', 'needs', 'when', 'forEach', 'retry', 'value', 'sql', 'http', 'tasks', 'query', 'x'],
  );
  const noise = fc.letrec<{ noise: unknown }>((tie) => ({
    noise: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, 0, 'a', '{{ 1 }}', '{{', '{{ tasks.a.output }}', 'params.x', ''),
      fc.array(tie('noise'), { maxLength: 3 }),
      fc.dictionary(key, tie('noise'), { maxKeys: 4 }),
    ),
  })).noise;

  test('parses or is refused with issues, and never fails otherwise', () => {
    const list = fc.array(fc.dictionary(key, noise, { maxKeys: 5 }), { maxLength: 4 });
    fc.assert(
      fc.property(list, noise, (garbled, schedules) => {
        const head = { apiVersion: 'runnel/v1', kind: 'BatchJob', metadata: { name: 'x' } };
        try {
          parseJobDocument({ ...head, schedule: schedules, tasks: garbled });
        } catch (error) {
          expect(error).toBeInstanceOf(DefinitionError);
          expect((error as DefinitionError).issues.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 400 },
    );
  });
});
