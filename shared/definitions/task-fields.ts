/**
 * What every task of a batch job has beside its kind.
 */
import { z } from 'zod';
import type { Json } from '../engine/record.ts';
import type { DurationMs } from '../ids.ts';
import { limits } from '../limits.ts';
import {
  type CircuitBreakerPolicy,
  ERROR_CLASSES,
  type RetryPolicy,
  type TaskCost,
  TRIGGER_RULES,
} from './batch-job.ts';
import { duration, positiveDuration } from './duration.ts';
import { percentage } from './percentage.ts';
import { priorityField } from './priority.ts';
import { readJsonSchema } from './json-schema.ts';
import { size } from './size.ts';
import { name } from './stream-job.ts';
import { strict, withHint } from './strict.ts';

const attempts = z.number().int().min(1).max(limits.taskAttemptsMax);

const backoffField = strict({
  initial: duration.prefault('10s').describe('Pause after the first attempt. Example: `1s`.'),
  factor: z.number().min(1).max(100).default(2).describe('What each pause is multiplied with.'),
  max: positiveDuration.prefault('5m').describe('The longest pause. Example: `1h`.'),
}).transform(({ initial, factor, max }) => ({ initialMs: initial, factor, maxMs: max }));

const retryField = strict({
  attempts: attempts.default(3).describe('Attempts in all, the first included.'),
  backoff: backoffField
    .prefault({})
    .describe('Pauses between them; each is varied by up to a fifth, the same for the same run.'),
  on: z
    .partialRecord(
      z.enum(ERROR_CLASSES),
      z.union([attempts.transform((count) => ({ attempts: count })), z.literal('never')], {
        error: withHint('is no number of attempts', 'a number from 1, or never'),
      }),
    )
    .default({})
    .describe(
      'Attempts in all by class of error, or `never`. Errors of the classes `definition` and ' +
        '`policy` are not retried unless they are named. ' +
        `Classes: ${ERROR_CLASSES.map((each) => `\`${each}\``).join(', ')}. ` +
        'Example: `{ network: 10, data: never }`.',
    ),
}).transform(({ on, ...rest }): RetryPolicy => ({
  ...rest,
  on: Object.fromEntries(
    Object.entries(on).map(([key, value]) => [key, value === 'never' ? { attempts: 1 } : value]),
  ),
}));

/** A task that does not say `retry` has one attempt. */
const NO_RETRY: RetryPolicy = {
  attempts: 1,
  backoff: { initialMs: 10_000 as DurationMs, factor: 2, maxMs: 300_000 as DurationMs },
  on: {},
};

const circuitBreakerField = strict({
  failureRate: percentage
    .prefault('50%')
    .describe('Share of failed attempts at which it opens. Example: `50%`.'),
  slowRate: percentage
    .prefault('100%')
    .describe('Share of slow attempts at which it opens. Example: `80%`.'),
  slowAfter: positiveDuration
    .optional()
    .describe('An attempt that takes longer is slow. Default: none is. Example: `30s`.'),
  window: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(20)
    .describe('How many of the last attempts are looked at, over all runs.'),
  callsMin: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(5)
    .describe('It stays closed until there were so many.'),
  openFor: positiveDuration
    .prefault('1m')
    .describe('While it is open, attempts fail at once as `circuit_open`. Example: `10m`.'),
  probes: z
    .number()
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe('Attempts let through after that; it closes when all of them succeed.'),
})
  .superRefine((given, context) => {
    if (given.callsMin <= given.window) return;
    const message = `is more than the window of ${given.window}: it would never open`;
    context.addIssue({ code: 'custom', path: ['callsMin'], message });
  })
  .transform(({ slowAfter, openFor, ...rest }): CircuitBreakerPolicy => ({
    ...rest,
    slowAfterMs: slowAfter ?? null,
    openForMs: openFor,
  }));

const costField = strict({
  memory: size
    .prefault('16MiB')
    .describe(
      'Memory that it takes; it waits until the device has it to give. At least the bound of its ' +
        'process counts (`memory` of sql, command and archive). Example: `64MiB`.',
    ),
  cpu: z
    .number()
    .min(0)
    .max(64)
    .default(0.1)
    .describe('Cores that it takes, 0.5 being half of one. Example: `0.5`.'),
}).transform(({ memory, cpu }): TaskCost => ({ memoryBytes: memory, cpu }));

const jsonSchemaField = z.unknown().superRefine((schema, context) => {
  const read = readJsonSchema(schema);
  if (!('problem' in read)) return;
  const message = withHint(read.problem, read.hint);
  context.addIssue({ code: 'custom', path: [...read.path], message });
});

export const taskFields = {
  id: name.describe('Name of the task, unique in the job. Example: `daily`.'),
  needs: z
    .union([name, z.array(name).max(limits.tasksPerJobMax)], {
      error: 'must be a name or a list of names',
    })
    .transform((given) => (typeof given === 'string' ? [given] : given))
    .default([])
    .describe('Tasks that it comes after. Default: it starts with the run. Example: `[a, b]`.'),
  trigger: z
    .enum(TRIGGER_RULES)
    .default('all_success')
    .describe('What must have become of the tasks that it needs: see Trigger rules.'),
  when: z
    .string()
    .optional()
    .describe(
      'Expression that gives true or false, once the rule holds; false: the task is skipped. ' +
        "Example: `params.on && tasks['daily'].output.rowCount > 0`.",
    ),
  branch: z
    .string()
    .optional()
    .describe(
      'Expression that gives the id, or a list of ids, of the tasks behind this one that go on; ' +
        'the others are skipped. Evaluated when the task has succeeded; it may use its output. ' +
        "Example: `tasks.count.output > 3 ? 'big' : 'small'`.",
    ),
  forEach: z
    .union([z.string(), z.array(z.unknown()).max(limits.forEachItemsMax)], {
      error: 'must be an expression or a list',
    })
    .optional()
    .describe(
      'A list, or an expression that gives one: the task is done once for each item, which is ' +
        `\`item\` there, at \`index\`. Empty: the task is skipped; more than ` +
        `${limits.forEachItemsMax} items fail the task that made them. ` +
        'Example: `tasks.lines.output`.',
    ),
  parallel: z
    .number()
    .int()
    .min(1)
    .max(limits.forEachItemsMax)
    .optional()
    .describe('Items done at the same time. Default: as many as the device allows.'),
  teardown: z
    .union([name, z.array(name).min(1).max(100)], { error: 'must be a name or a list of names' })
    .transform((given) => (typeof given === 'string' ? [given] : given))
    .default([])
    .describe(
      'Tasks that this one tears down: it runs when all that it needs is done and one of them ' +
        'succeeded, also after a cancel, and does not make a run fail. Example: `[mount]`.',
    ),
  timeout: positiveDuration
    .optional()
    .describe('An attempt that takes longer fails. Default: only the run has one. Example: `10m`.'),
  retry: retryField.optional().describe('What happens after a failure. Default: one attempt.'),
  circuitBreaker: circuitBreakerField
    .optional()
    .describe('Stops attempts for a while when too many fail; it outlives runs and restarts.'),
  pool: name
    .default('default')
    .describe('Pool of the device (`agent.yaml`) whose slots it takes. Example: `uplink`.'),
  slots: z.number().int().min(1).max(1000).default(1).describe('Slots that it takes there.'),
  priority: priorityField.describe(
    "Added to the job's: higher goes first, and waiting adds to it.",
  ),
  cost: costField.prefault({}).describe('What it takes of the device.'),
  outputSchema: jsonSchemaField
    .optional()
    .describe('JSON Schema that the output must meet, else the attempt fails as `data`.'),
};

export const commonTaskSchema = strict(taskFields)
  .superRefine((task, context) => {
    if (task.forEach === undefined && task.parallel !== undefined) {
      const message = withHint('stands without forEach', 'it says how many items run at once');
      context.addIssue({ code: 'custom', path: ['parallel'], message });
    }
    if (task.forEach !== undefined && task.teardown.length > 0) {
      const hint = 'tear down in one task, or go through the list in its command';
      const message = withHint('a task that tears down cannot go through a list', hint);
      context.addIssue({ code: 'custom', path: ['forEach'], message });
    }
  })
  .transform((task) => ({
    ...task,
    needs: [...task.needs],
    when: task.when ?? null,
    branch: task.branch ?? null,
    forEach: (task.forEach ?? null) as string | readonly Json[] | null,
    parallel: task.parallel ?? null,
    timeoutMs: task.timeout ?? null,
    retry: task.retry ?? NO_RETRY,
    circuitBreaker: task.circuitBreaker ?? null,
    outputSchema: (task.outputSchema ?? null) as Json,
  }));
