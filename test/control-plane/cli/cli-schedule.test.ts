/** `runnel schedule next`: times on standard output, mistakes with what mends them. */
import { describe, expect, it, test } from 'vitest';
import { runnel } from './cli-terminal.ts';

const next = (...args: string[]) => runnel(['schedule', 'next', ...args]);

describe('fire times', () => {
  it('come in UTC, one a line, strictly after the start, with no control plane', async () => {
    const ran = await next(
      ...['--cron', '15 0 * * *', '--timezone', 'Europe/Paris'],
      ...['--from', '2026-03-27T23:15:00Z', '--count', '3'],
    );
    expect(ran).toMatchObject({
      code: 0,
      err: '',
      out: '2026-03-28T23:15:00Z\n2026-03-29T22:15:00Z\n2026-03-30T22:15:00Z\n',
    });
  });

  it('are five in UTC from now on unless it is said otherwise', async () => {
    const { code, out } = await next('--cron', '* * * * *');
    const lines = out.trimEnd().split('\n');
    expect([code, lines.length]).toEqual([0, 5]);
    expect(Date.parse(lines[1]!) - Date.parse(lines[0]!)).toBe(60_000);
  });

  it('start on the clock of the zone when --from names none', async () => {
    const args = ['--cron', '0 * * * *', '--timezone', 'Asia/Tokyo', '--count', '1', '--from'];
    expect((await next(...args, '2026-01-01')).out).toBe('2025-12-31T16:00:00Z\n');
    expect((await next(...args, '2026-01-01T10:30')).out).toBe('2026-01-01T02:00:00Z\n');
    expect((await next(...args, '2026-01-01T10:30:00+01:00')).out).toBe('2026-01-01T10:00:00Z\n');
  });

  it('are a list in JSON', async () => {
    const { out } = await next(
      ...['--cron', '@yearly', '--from', '2026-01-01T00:00:00Z', '--count', '2', '-o', 'json'],
    );
    expect(JSON.parse(out)).toEqual(['2027-01-01T00:00:00Z', '2028-01-01T00:00:00Z']);
  });

  it('are fewer where the calendar ends', async () => {
    const { code, out } = await next('--cron', '@yearly', '--from', '9998-06-01T00:00:00Z');
    expect([code, out]).toEqual([0, '9999-01-01T00:00:00Z\n']);
  });
});

describe('a mistake ends with 2 and says what fits', () => {
  test.each([
    [['--cron', '60 * * * *'], /"60" is no minute[^]*0 to 59/],
    [['--cron', '0 0 31 2 *'], /never fires/],
    [['--cron', '* * * * *', '--timezone', 'Mars/Olympus'], /time zone[^]*Europe\/Paris/],
    [['--cron', '* * * * *', '--from', 'yesterday'], /no instant[^]*2026-01-31T08:00:00Z/],
    [['--cron', '* * * * *', '--from', '2026-02-31T00:00:00Z'], /no instant/],
    [['--cron', '* * * * *', '--count', '0'], /1 to 10000/],
    [['--cron', '* * * * *', '--count', '10001'], /1 to 10000/],
    [[], /--cron/],
  ])('%j', async (args, says) => {
    const { code, out, err } = await next(...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(says);
  });
});
