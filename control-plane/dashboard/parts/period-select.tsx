/** Over which time one looks; kept in the address. */
import type { JSX } from 'preact';
import { type Period, PERIODS, readPeriod } from '../slas/history-strip.ts';

const CHOICES = Object.keys(PERIODS).map(readPeriod);

export function PeriodSelect({
  period,
  onPeriod,
}: {
  period: Period;
  onPeriod: (period: Period) => void;
}): JSX.Element {
  return (
    <label class="select">
      <span class="visually-hidden">Period</span>
      <select value={period} onChange={(event) => onPeriod(readPeriod(event.currentTarget.value))}>
        {CHOICES.map((choice) => (
          <option key={choice} value={choice}>
            Last {PERIODS[choice].word}
          </option>
        ))}
      </select>
    </label>
  );
}
