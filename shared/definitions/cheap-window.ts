/**
 * `cheapWindow` of a batch job: when running it costs little. A run that is due waits until all
 * that is named holds: hours of the day, mains power, a network that costs nothing by the byte.
 */
import { z } from 'zod';
import { isTimezone } from '../engine/windows/time-zone.ts';
import type { CheapWindow } from './batch-job.ts';
import { positiveDuration } from './duration.ts';
import { parsedText, strict, withHint } from './strict.ts';

const DAY_MINUTES = 1440;

/** NaN for what is no time of the clock. */
function minutesOf(text = ''): number {
  const [hours = NaN, minutes = NaN] = text.split(':').map(Number);
  return minutes < 60 ? hours * 60 + minutes : NaN;
}

type Hours = Omit<NonNullable<CheapWindow['hours']>, 'timezone'>;

const hours = parsedText<Hours>(
  (text) => {
    const hint = 'write from and to by the clock: 22:00-06:00';
    const [, from, to] = /^(\d\d:\d\d) ?- ?(\d\d:\d\d)$/.exec(text) ?? [];
    const span = { from: minutesOf(from), to: minutesOf(to) };
    if (!(span.from < DAY_MINUTES && span.to <= DAY_MINUTES)) {
      return { problem: `"${text}" is no span of hours`, hint };
    }
    if (span.from === span.to) return { problem: `"${text}" is empty`, hint };
    return span.from === 0 && span.to === DAY_MINUTES
      ? { problem: `"${text}" is the whole day`, hint: 'leave it out' }
      : span;
  },
  { description: 'Hours of the day, `[from, to)`; over midnight too.', examples: ['22:00-06:00'] },
);

/** `timezone`: that of the schedule, for hours without one of their own. */
export const cheapWindowField = strict({
  hours: hours.optional().describe('Hours of the day. Example: `22:00-06:00`.'),
  timezone: z
    .string()
    .refine(isTimezone, { error: withHint('is no time zone', 'for example Europe/Paris') })
    .optional()
    .describe('IANA time zone of these hours. Default: that of the schedule.'),
  power: z
    .literal('mains')
    .optional()
    .describe('The device does not live on its battery. Example: `mains`.'),
  network: z
    .literal('unmetered')
    .optional()
    .describe(
      'The network is there and costs nothing by the byte: Wi-Fi or a cable, no modem, and not ' +
        '`link.metered` of agent.yaml. Example: `unmetered`.',
    ),
  waitAtMost: positiveDuration
    .prefault('24h')
    .describe('How long a run waits for all of that. Example: `12h`.'),
  otherwise: z
    .enum(['run', 'skip'])
    .default('run')
    .describe('What becomes of it then: it runs all the same, or is left out, counted and told.'),
})
  .superRefine(({ hours: given, power, network, timezone }, context) => {
    if (given === undefined && timezone !== undefined) {
      const message = withHint('is for hours', 'add hours, or leave it out');
      context.addIssue({ code: 'custom', path: ['timezone'], message });
    }
    if (given !== undefined || power !== undefined || network !== undefined) return;
    const message = withHint('is always open', 'set hours, power or network');
    context.addIssue({ code: 'custom', message });
  })
  .transform((given) => (zone: string): CheapWindow => ({
    hours: given.hours === undefined ? null : { ...given.hours, timezone: given.timezone ?? zone },
    power: given.power ?? null,
    network: given.network ?? null,
    waitAtMostMs: given.waitAtMost,
    otherwise: given.otherwise,
  }));

/** `22:00-06:00 Europe/Paris` */
export function hoursText({ from, to, timezone }: NonNullable<CheapWindow['hours']>): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = (minutes: number): string =>
    `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${clock(from)}-${clock(to)} ${timezone}`;
}
