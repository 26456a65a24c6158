/**
 * Event time out of what a source's `time:` expression gave: epoch milliseconds or ISO 8601 text.
 *
 * A text without a zone is UTC, never the device's own zone, so that a replay elsewhere gives the
 * same. Only ISO 8601 is taken: what else `Date.parse` understands differs between engines.
 */
import { ExpressionError } from '../expressions/expression.ts';
import type { EpochMs } from '../ids.ts';

/** What a JavaScript date can hold: 271,821 BC to AD 275,760. */
const TIME_MAX_MS = 8_640_000_000_000_000;
const DATE = String.raw`(?:[+-]\d{6}|\d{4})-\d{2}-\d{2}`;
const CLOCK = String.raw`\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?`;
const ZONE = String.raw`Z|z|[+-]\d{2}(?::?\d{2})?`;
const ISO = new RegExp(`^${DATE}(?:[Tt ]${CLOCK}(${ZONE})?)?$`);

/** Throws `ExpressionError` when the value is no time. Fractions of a millisecond are cut off. */
export function eventTimeOf(value: unknown, source: string): EpochMs {
  if (typeof value === 'number') {
    if (Math.abs(value) <= TIME_MAX_MS) return Math.floor(value) as EpochMs;
    throw new ExpressionError(
      Number.isFinite(value) ? 'out_of_range' : 'not_finite',
      `${source} is ${value}, which is no time in milliseconds`,
    );
  }
  if (typeof value === 'string') return parseIso(value, source);
  const found = value === null ? 'null' : `a ${typeof value}`;
  throw new ExpressionError(
    value === null ? 'null_value' : 'wrong_type',
    `${source} is ${found}, not milliseconds or ISO 8601 text`,
  );
}

function parseIso(text: string, source: string): EpochMs {
  const match = ISO.exec(text);
  if (match !== null) {
    const timeMs = Date.parse(canonical(text, match[1]));
    if (!Number.isNaN(timeMs)) return timeMs as EpochMs;
  }
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  throw new ExpressionError('bad_format', `${source} is "${shown}", which is no ISO 8601 time`);
}

/** The form that every JavaScript engine reads in the same way. */
function canonical(text: string, zone: string | undefined): string {
  const body = (zone === undefined ? text : text.slice(0, -zone.length)).toUpperCase();
  const local = body.replace(' ', 'T').replace(',', '.');
  if (!local.includes('T')) return local;
  if (zone === undefined || zone === 'Z' || zone === 'z') return `${local}Z`;
  const digits = zone.slice(1).replace(':', '').padEnd(4, '0');
  return `${local}${zone[0]}${digits.slice(0, 2)}:${digits.slice(2)}`;
}
