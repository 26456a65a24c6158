/**
 * Values of Debezium as values for a table, where the event carries the schema that says what they
 * are: a number of days, of microseconds, an unscaled decimal in base64. Times become ISO 8601
 * without a zone, as the columns have none, with every digit there is; decimals become texts, so
 * that none is lost. What has no such schema is taken as it stands.
 *
 * PostgreSQL leaves out large values that did not change; Debezium puts a placeholder for them.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { isRow } from '../io/rows.ts';
import type { Row } from '../tasks/task-services.ts';

const PLACEHOLDER = '__debezium_unavailable_value';
const PLACEHOLDERS = new Set<Json>([PLACEHOLDER, Buffer.from(PLACEHOLDER).toString('base64')]);

/** Whether the value was not in the event, and is what it was. */
export function isUnavailable(value: Json | undefined): boolean {
  const first = Array.isArray(value) && value.length === 1 ? (value[0] as Json) : value;
  return first !== undefined && PLACEHOLDERS.has(first);
}

type Convert = (value: Json, parameters: Row) => Json;

const DAY = 86_400n;
const PER_SECOND = { milli: 1000n, micro: 1_000_000n, nano: 1_000_000_000n } as const;
type Unit = keyof typeof PER_SECOND;

const CONVERTERS: Readonly<Record<string, Convert>> = {
  'io.debezium.time.Date': date,
  'io.debezium.time.Timestamp': instant('milli'),
  'io.debezium.time.MicroTimestamp': instant('micro'),
  'io.debezium.time.NanoTimestamp': instant('nano'),
  'io.debezium.time.Time': clock('milli'),
  'io.debezium.time.MicroTime': clock('micro'),
  'io.debezium.time.NanoTime': clock('nano'),
  'io.debezium.data.VariableScaleDecimal': (value) =>
    isRow(value) ? decimal(value['value'] ?? null, value) : value,
  'org.apache.kafka.connect.data.Date': date,
  'org.apache.kafka.connect.data.Timestamp': instant('milli'),
  'org.apache.kafka.connect.data.Time': clock('milli'),
  'org.apache.kafka.connect.data.Decimal': decimal,
};

/** Turns the values of one side (`before`, `after`) of an event with this schema. */
export function valuesBySchema(schema: Json | undefined, side: string): (row: Row) => Row {
  const fields = fieldsOf(fieldsOf(schema).find(({ field }) => field === side));
  const known = fields.flatMap(({ field, name, parameters }) => {
    if (typeof name !== 'string' || typeof field !== 'string') return [];
    const convert = CONVERTERS[name];
    if (convert === undefined) return [];
    return [[field, convert, isRow(parameters) ? parameters : {}] as const];
  });
  if (known.length === 0) return (row) => row;
  return (row) => {
    const turned = known.flatMap(([field, convert, parameters]) => {
      const value = row[field];
      if (value === undefined || value === null || isUnavailable(value)) return [];
      return [[field, convert(value, parameters)]];
    });
    return { ...row, ...(Object.fromEntries(turned) as Row) };
  };
}

function fieldsOf(schema: unknown): readonly Row[] {
  const fields = isRow(schema) ? schema['fields'] : undefined;
  return Array.isArray(fields) ? fields.filter(isRow) : [];
}

function date(value: Json): Json {
  const days = whole(value);
  return days === undefined ? value : (dayText(days) ?? infinity(days));
}

function instant(unit: Unit): Convert {
  return (value) => {
    const count = whole(value);
    if (count === undefined) return value;
    const perDay = DAY * PER_SECOND[unit];
    const inDay = ((count % perDay) + perDay) % perDay;
    const day = dayText((count - inDay) / perDay);
    return day === undefined ? infinity(count) : `${day}T${clockText(inDay, unit)}`;
  };
}

function clock(unit: Unit): Convert {
  return (value) => {
    const count = whole(value);
    return count === undefined || count < 0n ? value : clockText(count, unit);
  };
}

/** PostgreSQL's infinities come as counts beyond all years that can be written. */
function dayText(days: bigint): string | undefined {
  const day = new Date(Number(days) * 86_400_000);
  const text = Number.isNaN(day.getTime()) ? '' : day.toISOString();
  return /^\d{4}-/.test(text) ? text.slice(0, 10) : undefined;
}

function infinity(count: bigint): string {
  return count < 0n ? '-infinity' : 'infinity';
}

function clockText(count: bigint, unit: Unit): string {
  const perSecond = PER_SECOND[unit];
  const seconds = count / perSecond;
  const parts = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n];
  const fraction = String(count % perSecond).padStart(String(perSecond).length - 1, '0');
  return `${parts.map((part) => String(part).padStart(2, '0')).join(':')}.${fraction}`;
}

/** Bytes of a number in two's complement, the highest first. */
function decimal(value: Json, parameters: Row): Json {
  if (typeof value !== 'string') return value;
  const bytes = Buffer.from(value, 'base64');
  const unsigned = bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
  const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0;
  const unscaled = isNegative ? unsigned - (1n << BigInt(bytes.length * 8)) : unsigned;
  const scale = Number(parameters['scale'] ?? 0);
  if (!Number.isInteger(scale) || scale <= 0) return `${unscaled * 10n ** BigInt(-scale || 0)}`;
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function whole(value: Json): bigint | undefined {
  if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) return BigInt(value);
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined;
}
