/**
 * What is promised of a job: service levels that the device judges itself, with or without a
 * network, and the control plane beside it (shared/sla).
 *
 * A promise is of one kind. A document that promises of a stream job what only runs can keep
 * (`deadline`, `duration`) is taken, since documents of earlier releases may: there is nothing to
 * judge, and no verdict of it.
 */
import { z } from 'zod';
import { durationText } from '../expressions/duration-text.ts';
import { isTimezone } from '../engine/windows/time-zone.ts';
import { NAME } from '../ids.ts';
import { age, positiveDuration } from './duration.ts';
import { percentage } from './percentage.ts';
import { parsedText, strict, withHint } from './strict.ts';

export const SLA_KINDS = [
  'freshness',
  'deliveryLag',
  'duration',
  'successRate',
  'completeness',
  'deadline',
] as const;
export type SlaKind = (typeof SLA_KINDS)[number];

const WITHIN_MS = 5 * 60_000;
/** Runs from which there is an average. */
const RUNS = 10;

const timeOfDay = parsedText<{ readonly hour: number; readonly minute: number }>(
  (text) => {
    const [, hour, minute] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
    if (hour !== undefined && minute !== undefined) {
      return { hour: Number(hour), minute: Number(minute) };
    }
    return { problem: `"${text}" is no time of day`, hint: 'write hours and minutes: 06:00' };
  },
  { description: 'Time of day.', examples: ['06:00'] },
);

/** Beyond all: `150%` of an average. */
const ratio = parsedText<number>(
  (text) => {
    const [, amount] = /^(\d+(?:\.\d+)?)\s?%$/.exec(text) ?? [];
    const share = Number(amount) / 100;
    if (amount !== undefined && share > 0 && share <= 100) return share;
    return { problem: `"${text}" is no ratio`, hint: 'write a percentage above 0%: 150%' };
  },
  { description: 'Ratio in percent.', examples: ['150%'] },
);

const deadlineAt = strict({
  at: timeOfDay.describe('Time of day by which a run has succeeded. Example: `06:00`.'),
  timezone: z
    .string()
    .default('UTC')
    .refine(isTimezone, { error: withHint('is no time zone', 'for example Europe/Paris') })
    .describe('IANA time zone. Example: `Europe/Paris`.'),
});

const deadlineAfter = strict({
  after: positiveDuration.describe(
    'After the time of the schedule that the run stands for. Example: `2h`.',
  ),
});

const recentDuration = strict({
  recent: ratio.describe('Of the average of recent successful runs. Example: `150%`.'),
  runs: z
    .number()
    .int()
    .min(3)
    .max(100)
    .default(RUNS)
    .describe('How many of them; with fewer than three there is nothing to judge by.'),
});

const completenessOf = strict({
  share: percentage.describe('Share of the fleet that has reported. Example: `95%`.'),
  of: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe('Dataset that is waited for. Default: any of the job. Example: `bearing-rms`.'),
  within: positiveDuration
    .prefault(durationText(WITHIN_MS))
    .describe('After the end of the window or partition. Example: `5m`.'),
});

const slaFields = {
  name: z
    .string()
    .regex(NAME, { error: 'is no name: small letters, digits and dashes' })
    .describe('Name of the promise, unique in the job. Example: `fresh`.'),
  freshness: positiveDuration
    .optional()
    .describe('The newest result (of a batch job: successful run) is never older. Example: `2m`.'),
  deliveryLag: positiveDuration
    .optional()
    .describe('What the device makes is in the store of the control plane within. Example: `30s`.'),
  duration: z
    .union([positiveDuration, recentDuration])
    .optional()
    .describe(
      'A run takes no longer: fixed, or against the average of recent runs. Example: `10m`.',
    ),
  successRate: percentage
    .optional()
    .describe(
      'Share of records (of a batch job: runs) of the last `over` that did not fail. ' +
        'Example: `99.5%`.',
    ),
  completeness: z
    .union([percentage, completenessOf])
    .optional()
    .describe(
      'Share of the devices of the job that have reported a window or partition, by a time ' +
        '(`within`, 5m when only a share is given) after its end. A device has reported it when ' +
        'it has reported one that ends then or later. Example: `95%`.',
    ),
  deadline: z
    .union([deadlineAt, deadlineAfter])
    .optional()
    .describe(
      'A run has succeeded by this time of day, or so long after the time of the schedule that ' +
        'it stands for. Example: `{ at: "06:00" }`.',
    ),
  over: positiveDuration
    .prefault('1h')
    .describe('The time that a success rate is taken over. Example: `1h`.'),
  atRisk: percentage
    .refine((share) => share > 0, {
      error: withHint('leaves nothing before the risk', 'for example 80%'),
    })
    .prefault('80%')
    .describe(
      'Share of the bound from which the promise is at risk; of a success rate and of ' +
        'completeness, of what may be missing. 100% is never. Example: `80%`.',
    ),
  objective: percentage
    .prefault('99%')
    .describe(
      'Share of the time in which the promise is to be kept: the rest is the error budget. ' +
        'Example: `99%`.',
    ),
  window: age.prefault('30d').describe('The time that the error budget is for. Example: `30d`.'),
};

interface Common {
  readonly name: string;
  /** Share of the bound from which it is at risk. */
  readonly atRisk: number;
  readonly objective: number;
  /** What the error budget is for. */
  readonly windowMs: number;
}

export type DeadlineBound =
  | {
      readonly kind: 'at';
      readonly hour: number;
      readonly minute: number;
      readonly timezone: string;
    }
  | { readonly kind: 'after'; readonly ms: number };

export type DurationBound =
  | { readonly kind: 'fixed'; readonly ms: number }
  | { readonly kind: 'recent'; readonly ratio: number; readonly runs: number };

export type SlaOf<K extends SlaKind> = Extract<Sla, { readonly kind: K }>;
export type Sla = Common &
  (
    | { readonly kind: 'freshness'; readonly withinMs: number }
    | { readonly kind: 'deliveryLag'; readonly withinMs: number }
    | { readonly kind: 'duration'; readonly bound: DurationBound }
    | { readonly kind: 'successRate'; readonly share: number; readonly overMs: number }
    | {
        readonly kind: 'completeness';
        readonly share: number;
        /** Null: any of the job. */
        readonly dataset: string | null;
        readonly withinMs: number;
      }
    | { readonly kind: 'deadline'; readonly bound: DeadlineBound }
  );

const slaEntry = strict(slaFields)
  .superRefine((sla, context) => {
    const kinds = SLA_KINDS.filter((kind) => sla[kind] !== undefined);
    if (kinds.length === 1) return;
    const message = withHint(
      kinds.length === 0 ? 'promises nothing' : `promises ${kinds.join(' and ')} at once`,
      `one of ${SLA_KINDS.join(', ')}`,
    );
    context.addIssue({ code: 'custom', message });
  })
  .transform((sla): Sla => {
    const { name, atRisk, objective, window: windowMs } = sla;
    return { name, atRisk, objective, windowMs, ...promised(sla) };
  });

type Fields = z.output<ReturnType<typeof strict<typeof slaFields>>>;
type Promised = Sla extends infer S ? (S extends Sla ? Omit<S, keyof Common> : never) : never;

function promised(sla: Fields): Promised {
  const { freshness, deliveryLag, duration, successRate, completeness, deadline, over } = sla;
  if (freshness !== undefined) return { kind: 'freshness', withinMs: freshness };
  if (deliveryLag !== undefined) return { kind: 'deliveryLag', withinMs: deliveryLag };
  if (duration !== undefined) {
    const bound: DurationBound =
      typeof duration === 'number'
        ? { kind: 'fixed', ms: duration }
        : { kind: 'recent', ratio: duration.recent, runs: duration.runs };
    return { kind: 'duration', bound };
  }
  if (successRate !== undefined) return { kind: 'successRate', share: successRate, overMs: over };
  if (deadline !== undefined) {
    const bound: DeadlineBound =
      'after' in deadline
        ? { kind: 'after', ms: deadline.after }
        : { kind: 'at', ...deadline.at, timezone: deadline.timezone };
    return { kind: 'deadline', bound };
  }
  if (typeof completeness === 'object') {
    const { share, of: dataset = null, within: withinMs } = completeness;
    return { kind: 'completeness', share, dataset, withinMs };
  }
  return { kind: 'completeness', share: completeness ?? 1, dataset: null, withinMs: WITHIN_MS };
}

export const slaField = z
  .array(slaEntry)
  .max(20)
  .superRefine((list, context) => {
    for (const [index, sla] of list.entries()) {
      if (list.findIndex((other) => other.name === sla.name) === index) continue;
      context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is there twice' });
    }
  })
  .describe('What is promised of the job. Example: `[{ name: fresh, freshness: 2m }]`.');

/** For people: `2m`, `99.5% over 1h`, `06:00 Europe/Paris`. */
export function slaTarget(sla: Sla): string {
  switch (sla.kind) {
    case 'freshness':
    case 'deliveryLag':
      return durationText(sla.withinMs);
    case 'duration':
      return sla.bound.kind === 'fixed'
        ? durationText(sla.bound.ms)
        : `${percentText(sla.bound.ratio)} of the last ${sla.bound.runs} runs`;
    case 'successRate':
      return `${percentText(sla.share)} over ${durationText(sla.overMs)}`;
    case 'completeness':
      return `${percentText(sla.share)} within ${durationText(sla.withinMs)}`;
    case 'deadline':
      return sla.bound.kind === 'after'
        ? `${durationText(sla.bound.ms)} after its time`
        : `${two(sla.bound.hour)}:${two(sla.bound.minute)} ${sla.bound.timezone}`;
  }
}

/** `99.5%`: at most three digits behind the point, and never rounded up to all of it. */
export function percentText(share: number): string {
  const percent = Math.floor(share * 100_000 + 1e-6) / 1000;
  return `${percent}%`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
