/**
 * Fire times of cron expressions, worked out by hand from calendars and zone rules: an open set,
 * to be added to whenever two readers of cron disagree. `fires` are all the times after `from` up
 * to the last one listed.
 */
export interface CronVector {
  readonly claim: string;
  readonly cron: string;
  readonly timezone?: string;
  readonly from: string;
  readonly fires: readonly string[];
}

const NY = 'America/New_York';
const SP = 'America/Sao_Paulo';
const LH = 'Australia/Lord_Howe';

export const vectors: readonly CronVector[] = [
  // The patterns of the Open Cron Pattern Specification.
  {
    claim: 'a time after `from` and never at it',
    cron: '0 0 * * *',
    from: '2026-01-01T00:00:00Z',
    fires: ['2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'],
  },
  {
    claim: 'a step over a range begins at the range',
    cron: '5-59/15 9 * * *',
    from: '2026-03-10T09:00:00Z',
    fires: [
      '2026-03-10T09:05:00Z',
      '2026-03-10T09:20:00Z',
      '2026-03-10T09:35:00Z',
      '2026-03-10T09:50:00Z',
      '2026-03-11T09:05:00Z',
    ],
  },
  {
    claim: 'names in any case, lists, ranges with steps, and blanks around',
    cron: '  0  8,20\t1-10/9 jan,Mar *  ',
    from: '2026-01-01T08:00:00Z',
    fires: [
      '2026-01-01T20:00:00Z',
      '2026-01-10T08:00:00Z',
      '2026-01-10T20:00:00Z',
      '2026-03-01T08:00:00Z',
    ],
  },
  {
    claim: 'both day fields restricted: either',
    cron: '0 12 1 * MON',
    from: '2026-05-30T00:00:00Z',
    fires: [
      '2026-06-01T12:00:00Z',
      '2026-06-08T12:00:00Z',
      '2026-06-15T12:00:00Z',
      '2026-06-22T12:00:00Z',
      '2026-06-29T12:00:00Z',
      '2026-07-01T12:00:00Z',
    ],
  },
  {
    claim: 'all days of the month are restricted, a star is not',
    cron: '0 12 1-31 * MON',
    from: '2026-06-01T12:00:00Z',
    fires: ['2026-06-02T12:00:00Z', '2026-06-03T12:00:00Z'],
  },
  {
    claim: 'a field that begins with a star leaves the other one to decide',
    cron: '0 12 *,1 * MON',
    from: '2026-06-01T12:00:00Z',
    fires: ['2026-06-08T12:00:00Z', '2026-06-15T12:00:00Z'],
  },
  {
    claim: 'a step over a star is restricted',
    cron: '0 0 */10 * SUN',
    from: '2026-06-01T00:00:00Z',
    fires: ['2026-06-07T00:00:00Z', '2026-06-11T00:00:00Z', '2026-06-14T00:00:00Z'],
  },
  {
    claim: 'with a plus: both',
    cron: '0 12 1 * +MON',
    from: '2026-05-30T00:00:00Z',
    fires: ['2026-06-01T12:00:00Z', '2027-02-01T12:00:00Z', '2027-03-01T12:00:00Z'],
  },
  {
    claim: 'a question mark is a star',
    cron: '0 0 ? * 3',
    from: '2026-06-01T00:00:00Z',
    fires: ['2026-06-03T00:00:00Z', '2026-06-10T00:00:00Z'],
  },
  {
    claim: '0 and 7 are Sunday',
    cron: '0 0 * * 7',
    from: '2026-06-01T00:00:00Z',
    fires: ['2026-06-07T00:00:00Z', '2026-06-14T00:00:00Z'],
  },
  {
    claim: 'a range of days may end with Sunday',
    cron: '0 0 * * FRI-SUN',
    from: '2026-06-01T00:00:00Z',
    fires: ['2026-06-05T00:00:00Z', '2026-06-06T00:00:00Z', '2026-06-07T00:00:00Z'],
  },
  {
    claim: 'six fields begin with seconds',
    cron: '*/20 59 23 31 12 *',
    from: '2026-12-31T23:59:20Z',
    fires: ['2026-12-31T23:59:40Z', '2027-12-31T23:59:00Z'],
  },
  {
    claim: '@hourly',
    cron: '@hourly',
    from: '2026-06-01T10:00:00Z',
    fires: ['2026-06-01T11:00:00Z', '2026-06-01T12:00:00Z'],
  },
  {
    claim: '@weekly',
    cron: '@weekly',
    from: '2026-06-01T10:00:00Z',
    fires: ['2026-06-07T00:00:00Z', '2026-06-14T00:00:00Z'],
  },
  {
    claim: '@yearly',
    cron: '@yearly',
    from: '2026-06-01T10:00:00Z',
    fires: ['2027-01-01T00:00:00Z', '2028-01-01T00:00:00Z'],
  },
  // Days that not every month has.
  {
    claim: 'the 31st leaves short months out',
    cron: '0 0 31 * *',
    from: '2026-01-31T00:00:00Z',
    fires: ['2026-03-31T00:00:00Z', '2026-05-31T00:00:00Z', '2026-07-31T00:00:00Z'],
  },
  {
    claim: '29 February, and 2100 is no leap year',
    cron: '0 0 29 2 *',
    from: '2092-03-01T00:00:00Z',
    fires: ['2096-02-29T00:00:00Z', '2104-02-29T00:00:00Z'],
  },
  {
    claim: '29 February that is a Monday: up to forty years apart',
    cron: '0 0 29 2 +MON',
    from: '2044-03-01T00:00:00Z',
    fires: ['2072-02-29T00:00:00Z', '2112-02-29T00:00:00Z'],
  },
  {
    claim: 'the last day',
    cron: '0 0 L * *',
    from: '2028-01-31T00:00:00Z',
    fires: ['2028-02-29T00:00:00Z', '2028-03-31T00:00:00Z', '2028-04-30T00:00:00Z'],
  },
  {
    claim: 'the last day from Monday to Friday',
    cron: '0 18 LW * *',
    from: '2026-01-01T00:00:00Z',
    fires: ['2026-01-30T18:00:00Z', '2026-02-27T18:00:00Z', '2026-03-31T18:00:00Z'],
  },
  {
    claim: 'the workday nearest to the 15th',
    cron: '0 0 15W 8-11 *',
    from: '2026-08-01T00:00:00Z',
    fires: [
      '2026-08-14T00:00:00Z',
      '2026-09-15T00:00:00Z',
      '2026-10-15T00:00:00Z',
      '2026-11-16T00:00:00Z',
    ],
  },
  {
    claim: 'the nearest workday stays within its month',
    cron: '0 0 1W,31W 5,8 *',
    from: '2026-05-02T00:00:00Z',
    fires: ['2026-05-29T00:00:00Z', '2026-08-03T00:00:00Z', '2026-08-31T00:00:00Z'],
  },
  {
    claim: 'the second Friday',
    cron: '0 0 * * FRI#2',
    from: '2026-01-01T00:00:00Z',
    fires: ['2026-01-09T00:00:00Z', '2026-02-13T00:00:00Z', '2026-03-13T00:00:00Z'],
  },
  {
    claim: 'the fifth Friday, in months that have one',
    cron: '0 0 * * 5#5',
    from: '2026-01-01T00:00:00Z',
    fires: ['2026-01-30T00:00:00Z', '2026-05-29T00:00:00Z', '2026-07-31T00:00:00Z'],
  },
  {
    claim: 'the last Friday, and another day beside it',
    cron: '0 0 * * 5L,WED#1',
    from: '2026-01-01T00:00:00Z',
    fires: ['2026-01-07T00:00:00Z', '2026-01-30T00:00:00Z', '2026-02-04T00:00:00Z'],
  },
  // Clocks that jump. New York 2026: 8 March 02:00 → 03:00, 1 November 02:00 → 01:00.
  {
    claim: 'a time in the gap fires once, at its end',
    cron: '30 2 * * *',
    timezone: NY,
    from: '2026-03-07T12:00:00Z',
    fires: ['2026-03-08T07:00:00Z', '2026-03-09T06:30:00Z'],
  },
  {
    claim: 'several times in one gap, and one at its end, fire as one',
    cron: '0,20,40 2-3 * * *',
    timezone: NY,
    from: '2026-03-07T12:00:00Z',
    fires: ['2026-03-08T07:00:00Z', '2026-03-08T07:20:00Z', '2026-03-08T07:40:00Z'],
  },
  {
    claim: 'a time that repeats fires in the first pass',
    cron: '30 1 * * *',
    timezone: NY,
    from: '2026-10-31T12:00:00Z',
    fires: ['2026-11-01T05:30:00Z', '2026-11-02T06:30:00Z'],
  },
  {
    claim: 'every hour goes on through the hour that repeats',
    cron: '30 * * * *',
    timezone: NY,
    from: '2026-11-01T04:45:00Z',
    fires: ['2026-11-01T05:30:00Z', '2026-11-01T06:30:00Z', '2026-11-01T07:30:00Z'],
  },
  {
    claim: 'every hour has nothing in the gap, and no hole',
    cron: '30 * * * *',
    timezone: NY,
    from: '2026-03-08T06:00:00Z',
    fires: ['2026-03-08T06:30:00Z', '2026-03-08T07:30:00Z', '2026-03-08T08:30:00Z'],
  },
  {
    claim: 'all 24 hours are every hour, however they are written',
    cron: '30 0-23 * * *',
    timezone: NY,
    from: '2026-11-01T04:45:00Z',
    fires: ['2026-11-01T05:30:00Z', '2026-11-01T06:30:00Z', '2026-11-01T07:30:00Z'],
  },
  {
    claim: 'a step follows elapsed time as every hour does: nothing in the gap',
    cron: '0 */2 * * *',
    timezone: NY,
    from: '2026-03-08T04:30:00Z',
    fires: ['2026-03-08T05:00:00Z', '2026-03-08T08:00:00Z', '2026-03-08T10:00:00Z'],
  },
  {
    claim: 'the hours of a step as a list are times of the day: 02:00 at the end of the gap',
    cron: '0 0,2,4 * * *',
    timezone: NY,
    from: '2026-03-08T04:30:00Z',
    fires: ['2026-03-08T05:00:00Z', '2026-03-08T07:00:00Z', '2026-03-08T08:00:00Z'],
  },
  {
    claim: 'a step over a range fires in both passes of an hour that repeats',
    cron: '30 1-23/2 * * *',
    timezone: NY,
    from: '2026-11-01T04:45:00Z',
    fires: ['2026-11-01T05:30:00Z', '2026-11-01T06:30:00Z', '2026-11-01T08:30:00Z'],
  },
  {
    claim: 'every second hour meets 02:00 in both passes (Paris)',
    cron: '0 */2 * * *',
    timezone: 'Europe/Paris',
    from: '2026-10-24T21:30:00Z',
    fires: [
      '2026-10-24T22:00:00Z',
      '2026-10-25T00:00:00Z',
      '2026-10-25T01:00:00Z',
      '2026-10-25T03:00:00Z',
    ],
  },
  // São Paulo: 4 November 2018 00:00 → 01:00; 18 February 2018 00:00 → 23:00 of the day before.
  {
    claim: 'midnight in the gap fires at 01:00',
    cron: '0 0 * * *',
    timezone: SP,
    from: '2018-11-03T04:00:00Z',
    fires: ['2018-11-04T03:00:00Z', '2018-11-05T02:00:00Z'],
  },
  {
    claim: 'a date whose only time is in the gap is not lost',
    cron: '15,45 0 4 11 *',
    timezone: SP,
    from: '2018-11-01T00:00:00Z',
    fires: ['2018-11-04T03:00:00Z', '2019-11-04T03:15:00Z'],
  },
  {
    claim: 'an hour that repeats before midnight belongs to its own day',
    cron: '30 23 * * *',
    timezone: SP,
    from: '2018-02-17T12:00:00Z',
    fires: ['2018-02-18T01:30:00Z', '2018-02-19T02:30:00Z'],
  },
  {
    claim: 'and every hour meets it twice',
    cron: '30 * 17 * *',
    timezone: SP,
    from: '2018-02-18T01:00:00Z',
    fires: ['2018-02-18T01:30:00Z', '2018-02-18T02:30:00Z', '2018-03-17T03:30:00Z'],
  },
  // Lord Howe moves by half an hour. 2026: 4 October 02:00 → 02:30, 5 April 02:00 → 01:30.
  {
    claim: 'half an hour skipped',
    cron: '15 2 * * *',
    timezone: LH,
    from: '2026-10-02T16:00:00Z',
    fires: ['2026-10-03T15:30:00Z', '2026-10-04T15:15:00Z'],
  },
  {
    claim: 'the end of the gap is a time of its own, and fires once',
    cron: '15,30 2 * * *',
    timezone: LH,
    from: '2026-10-02T16:00:00Z',
    fires: ['2026-10-03T15:30:00Z', '2026-10-04T15:15:00Z', '2026-10-04T15:30:00Z'],
  },
  {
    claim: 'half an hour repeated: once',
    cron: '45 1 * * *',
    timezone: LH,
    from: '2026-04-04T00:00:00Z',
    fires: ['2026-04-04T14:45:00Z', '2026-04-05T15:15:00Z'],
  },
  {
    claim: 'half an hour repeated: both passes for every hour',
    cron: '45 * * * *',
    timezone: LH,
    from: '2026-04-04T14:30:00Z',
    fires: ['2026-04-04T14:45:00Z', '2026-04-04T15:15:00Z', '2026-04-04T16:15:00Z'],
  },
  {
    claim: 'a whole day skipped (Samoa, 30 December 2011) fires when it would have ended',
    cron: '0 12 * * *',
    timezone: 'Pacific/Apia',
    from: '2011-12-29T12:00:00Z',
    fires: [
      '2011-12-29T22:00:00Z',
      '2011-12-30T10:00:00Z',
      '2011-12-30T22:00:00Z',
      '2011-12-31T22:00:00Z',
    ],
  },
  {
    claim: 'a zone that is no whole hour away',
    cron: '0 6 * * *',
    timezone: 'Asia/Kathmandu',
    from: '2026-01-01T00:15:00Z',
    fires: ['2026-01-02T00:15:00Z'],
  },
];

/** What is refused, and a word of what is said about it. */
export const refused: readonly (readonly [cron: string, says: RegExp])[] = [
  ['', /0 fields/],
  ['* *', /2 fields/],
  ['0 0 0 1 1 * 2027', /7 fields.*`at`/],
  ['60 0 * * *', /"60" is no minute.*0 to 59/],
  ['0 24 * * *', /"24" is no hour/],
  ['0 0 32 * *', /"32" is no day of month/],
  ['0 0 0 * *', /"0" is no day of month/],
  ['0 0 * 13 *', /"13" is no month.*JAN/],
  ['0 0 * foo *', /"foo" is no month/],
  ['0 0 * * 8', /"8" is no day of week.*SUN/],
  ['0 0 10-5 * *', /backwards.*10-31,1-5/],
  ['0 0 * * 7-2', /backwards/],
  ['*/0 * * * *', /step/],
  ['*/-5 * * * *', /step/],
  ['*/90 * * * *', /wider.*`every`/],
  ['0 0 /30 * *', /step/],
  ['0/15 * * * *', /"\*" or a range.*0-59\/15/],
  ['1-5/2/2 * * * *', /two steps/],
  ['1-2-3 * * * *', /no range/],
  ['1,,2 * * * *', /is no minute/],
  ['-1 * * * *', /is no minute/],
  ['1.5 * * * *', /is no minute/],
  ['*,61 * * * *', /"61" is no minute/],
  ['0 12 1-15W * *', /is no day of month/],
  ['0 12 +1 * MON', /is no day of month/],
  ['0 0 * * L', /FRI#L/],
  ['0 0 * * FRI#6', /#1 to #5/],
  ['? 12 * * *', /is no minute/],
  ['@Daily', /no word.*@daily/],
  ['@daily 0 0 * * *', /no word/],
  ['@reboot', /onStartup/],
  ['0 0 31 2 *', /never fires.*L/],
  ['0 0 30,31 2 *', /never fires/],
  ['0 0 31 4,6,9,11 *', /never fires/],
  ['0 0 29-31 2 +MON#1', /never fires/],
  [`0 0 ${'1,'.repeat(600)}1 * *`, /longer than/],
];
