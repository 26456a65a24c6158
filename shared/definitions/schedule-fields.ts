/**
 * `schedule:` and `partition:` of a batch job.
 */
import { z } from 'zod';
import { isTimezone, firstInstantOf } from '../engine/windows/time-zone.ts';
import { windowSizeOf } from '../engine/windows/window-size.ts';
import { durationMs, epochMs, type EpochMs } from '../ids.ts';
import { limits } from '../limits.ts';
import { cronProblem } from '../schedule/cron.ts';
import {
  MISFIRES,
  OVERLAPS,
  type PartitionDefinition,
  type Schedule,
  type ScheduleTrigger,
} from './batch-job.ts';
import { duration } from './duration.ts';
import { percentage } from './percentage.ts';
import { name } from './stream-job.ts';
import { strict, withHint } from './strict.ts';

const ZONE_HINT = 'for example Europe/Paris';

const timezone = z
  .string()
  .refine(isTimezone, { error: withHint('is no time zone', ZONE_HINT) })
  .default('UTC')
  .describe('IANA time zone of the clock that is meant. Example: `Europe/Paris`.');

const cron = z.string().superRefine((text, context) => {
  const found = cronProblem(text);
  if (found === undefined) return;
  context.addIssue({ code: 'custom', message: withHint(found.problem, found.hint) });
});

const period = z.string().superRefine((text, context) => {
  const size = windowSizeOf(text);
  const hint = 'write a number with a unit: 15m, 1h, 1d, 1w, 1mo';
  if (size === undefined) {
    context.addIssue({ code: 'custom', message: withHint(`"${text}" is no period`, hint) });
  } else if (size.kind === 'fixed' && size.ms < limits.scheduleIntervalMsMin) {
    context.addIssue({ code: 'custom', message: withHint('is shorter than a second', hint) });
  }
});

function oneOrMany<T extends z.ZodType>(item: T, most: number): z.ZodUnion<[T, z.ZodArray<T>]> {
  return z.union([item, z.array(item).min(1).max(most)]);
}

const listOf = <T>(given: T | readonly T[] | undefined): readonly T[] =>
  given === undefined ? [] : Array.isArray(given) ? (given as readonly T[]) : [given as T];

const ISO =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/;

/** An instant: as the text says, or where it names no zone by the clock of the schedule's. */
function instantOf(text: string, zone: string): EpochMs | undefined {
  const [, date, time = '00:00', offset] = ISO.exec(text) ?? [];
  if (date === undefined) return undefined;
  const wallMs = Date.parse(`${date}T${time}Z`);
  if (Number.isNaN(wallMs) || new Date(wallMs).toISOString().slice(0, 10) !== date)
    return undefined;
  if (offset === undefined) return epochMs(firstInstantOf(zone, wallMs));
  const ms = Date.parse(`${date}T${time}${offset}`);
  return Number.isNaN(ms) ? undefined : epochMs(ms);
}

const scheduleFields = {
  cron: oneOrMany(cron, 32)
    .optional()
    .describe(
      'Cron expression of 5 fields, or of 6 with the seconds first; or a list of them. A fixed ' +
        'hour that the clock skips runs once at the first instant after the gap, one that ' +
        'repeats runs once, at the first; `*` or a step in the hour field follows elapsed time. ' +
        'Example: `15 0 * * *`.',
    ),
  every: period
    .optional()
    .describe(
      'Interval: `15m` at the multiples since 1970, `1d`, `1w`, `1mo` at those of the calendar ' +
        'in the time zone. Example: `15m`.',
    ),
  at: oneOrMany(z.string(), 1000)
    .optional()
    .describe(
      'One instant or several, ISO 8601; without an offset by the clock of the time zone. ' +
        'Example: `2026-12-01T06:00`.',
    ),
  dataset: name
    .optional()
    .describe('Runs when this dataset was updated on the device. Example: `daily-rms`.'),
  datasets: z
    .array(name)
    .min(1)
    .max(64)
    .optional()
    .describe('Runs when all of these were updated since the last run that they started.'),
  onStartup: z
    .union([
      z.literal(true),
      strict({
        delay: duration.prefault('0s').describe('How long after the start. Example: `1m`.'),
      }),
    ])
    .optional()
    .describe(
      'Runs once per start of the agent, the newest whole partition also when it is done. ' +
        'Example: `{ delay: 1m }`.',
    ),
  diskAbove: percentage
    .optional()
    .describe(
      'Runs when the disk under the data directory is fuller than this, and again only after it ' +
        'was 5 points below. It runs the newest whole partition also when that is done. ' +
        'Example: `80%`.',
    ),
  timezone,
  misfire: z
    .enum(MISFIRES)
    .default('runOnce')
    .describe(
      'What happens with times that were missed while the device was off: one run for the ' +
        'newest, none, or one for each. What is left out is counted and shown.',
    ),
  catchUpWindow: duration
    .prefault('7d')
    .describe('Missed times that are older are left out, counted. Example: `2d`.'),
  overlap: z
    .enum(OVERLAPS)
    .default('skip')
    .describe(
      'What happens when the run before is not done: the new one is left out (counted), waits ' +
        '(one, or all of them), ends the old one, or runs beside it.',
    ),
  jitter: duration
    .prefault('0s')
    .describe(
      'A run starts up to this much after its time, by the device: it spreads a fleet. ' +
        'Example: `5m`.',
    ),
};

const written = strict(scheduleFields);
type Written = z.output<typeof written>;

function triggersOf(given: Written): ScheduleTrigger[] {
  const { timezone: zone } = given;
  const triggers: ScheduleTrigger[] = listOf<string>(given.cron).map((text) => ({
    kind: 'cron',
    cron: text,
    timezone: zone,
  }));
  if (given.every !== undefined)
    triggers.push({ kind: 'every', every: given.every, timezone: zone });
  const at = listOf<string>(given.at).flatMap((text) => instantOf(text, zone) ?? []);
  if (at.length > 0) {
    triggers.push({ kind: 'at', at: [...new Set(at)].toSorted((a, b) => a - b) });
  }
  const datasets = given.datasets ?? (given.dataset === undefined ? [] : [given.dataset]);
  if (datasets.length > 0) triggers.push({ kind: 'dataset', datasets: [...new Set(datasets)] });
  const { onStartup, diskAbove } = given;
  if (onStartup === true) triggers.push({ kind: 'startup', delayMs: durationMs(0) });
  else if (onStartup !== undefined) triggers.push({ kind: 'startup', delayMs: onStartup.delay });
  if (diskAbove !== undefined) triggers.push({ kind: 'disk', above: diskAbove });
  return triggers;
}

/** Keys of which a schedule has one at least. */
export const TRIGGER_KEYS = 'cron, every, at, dataset, datasets, onStartup, diskAbove';

export const scheduleField = written
  .superRefine((given, context) => {
    for (const [index, text] of listOf<string>(given.at).entries()) {
      if (instantOf(text, given.timezone) !== undefined) continue;
      const path = Array.isArray(given.at) ? ['at', index] : ['at'];
      const message = withHint(`"${text}" is no instant`, 'for example 2026-12-01T06:00:00Z');
      context.addIssue({ code: 'custom', path, message });
    }
    if (given.dataset !== undefined && given.datasets !== undefined) {
      const message = withHint('stands beside dataset', 'list all of them in datasets');
      context.addIssue({ code: 'custom', path: ['datasets'], message });
    }
  })
  .transform((given): Schedule & { readonly timezone: string } => ({
    triggers: triggersOf(given),
    misfire: given.misfire,
    catchUpWindowMs: given.catchUpWindow,
    overlap: given.overlap,
    jitterMs: given.jitter,
    timezone: given.timezone,
  }))
  .describe(
    'What starts runs; several triggers may stand together. Default: a run starts when somebody ' +
      'asks for it. Example: `{ cron: "15 0 * * *", timezone: Europe/Paris }`.',
  );

const partitionKey = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, {
  error: withHint('is no key', 'letters, digits, dots, dashes and underscores, at most 63'),
});

export const partitionField = strict({
  every: period
    .optional()
    .describe(
      'A run covers the newest whole period that ended at or before its time: `1h`, or of the ' +
        'calendar `1d`, `1w`, `1mo`. Example: `1d`.',
    ),
  keys: z
    .array(partitionKey)
    .min(1)
    .max(limits.partitionKeysMax)
    .optional()
    .describe(
      'Each time starts one run per key; with `every` each key has its periods. ' +
        'Example: `[line-1, line-2]`.',
    ),
  timezone: timezone
    .unwrap()
    .optional()
    .describe('IANA time zone of the days, weeks and months. Default: that of the schedule.'),
})
  .superRefine((given, context) => {
    if (given.every === undefined && given.keys === undefined) {
      const message = withHint('says nothing', 'every: 1d, or keys: [line-1, line-2]');
      context.addIssue({ code: 'custom', message });
    }
    for (const [index, key] of (given.keys ?? []).entries()) {
      if (given.keys?.indexOf(key) === index) continue;
      context.addIssue({ code: 'custom', path: ['keys', index], message: 'is there twice' });
    }
  })
  .transform(({ every, keys, timezone: own }) => (zone: string): PartitionDefinition => {
    const inZone = { timezone: own ?? zone };
    if (keys === undefined) return { kind: 'period', every: every ?? '1d', ...inZone };
    return { kind: 'keys', keys, every: every ?? null, ...inZone };
  })
  .describe(
    'What a run covers; completion is kept for each. Default: the instant that it was asked for.',
  );
