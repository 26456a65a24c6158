/**
 * Values of DuckDB as JSON, for the rows that other tasks read:
 *
 * - whole numbers of any width and decimals are numbers; one that a double cannot hold exactly is
 *   its text, so that no digit is lost
 * - a timestamp is ISO 8601 text in UTC, with as many digits of a second as it has, at least three;
 *   a date `2026-11-22`, a time `13:00:00`, an interval, a UUID and an enum their text
 * - lists and arrays are lists, structs are objects, maps are objects by the text of their keys
 * - bytes are base64; numbers that are not finite are null, as everywhere in JSON
 * - a column of type JSON is the value that it holds, not its text
 */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDecimalValue,
  type DuckDBListType,
  DuckDBListValue,
  type DuckDBMapType,
  DuckDBMapValue,
  DuckDBStructType,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBType,
  DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import type { Json } from '@runnel/shared/engine/record.ts';

/** `type` tells JSON, whose values come as text, from text. */
export function jsonOf(value: DuckDBValue, type?: DuckDBType): Json {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    return type?.alias === 'JSON' ? (JSON.parse(value) as Json) : value;
  }
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'bigint') return wholeNumber(value);
  if (value instanceof DuckDBDecimalValue) return decimal(value);
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('base64');
  const nested = nestedJson(value, type);
  if (nested !== undefined) return nested;
  const nanos = nanosOf(value);
  return nanos === undefined ? String(value) : timestampText(nanos, String(value));
}

function nestedJson(value: DuckDBValue, type: DuckDBType | undefined): Json | undefined {
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    const { valueType } = (type ?? {}) as Partial<DuckDBListType>;
    return value.items.map((item) => jsonOf(item, valueType));
  }
  if (value instanceof DuckDBStructValue) {
    const struct = type instanceof DuckDBStructType ? type : undefined;
    const entries = Object.entries(value.entries).map(([name, each]) => {
      const index = struct?.entryNames.indexOf(name) ?? -1;
      return [name, jsonOf(each, struct?.entryTypes[index])];
    });
    return Object.fromEntries(entries) as Json;
  }
  if (value instanceof DuckDBMapValue) {
    const { valueType } = (type ?? {}) as Partial<DuckDBMapType>;
    const entries = value.entries.map(({ key, value: each }) => [
      keyText(key),
      jsonOf(each, valueType),
    ]);
    return Object.fromEntries(entries) as Json;
  }
  return value instanceof DuckDBUnionValue ? jsonOf(value.value) : undefined;
}

function wholeNumber(value: bigint): Json {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function decimal(value: DuckDBDecimalValue): Json {
  const text = value.toString();
  const number = Number(text);
  return significant(text).length <= 15 || significant(String(number)) === significant(text)
    ? number
    : text;
}

function significant(text: string): string {
  const digits = text.replace(/[-.]/g, '').replace(/^0+/, '');
  return text.includes('.') ? digits.replace(/0+$/, '') : digits;
}

function keyText(key: DuckDBValue): string {
  const json = jsonOf(key);
  return typeof json === 'string' ? json : JSON.stringify(json);
}

function nanosOf(value: DuckDBValue): bigint | undefined {
  if (value instanceof DuckDBTimestampValue) return value.micros * 1000n;
  if (value instanceof DuckDBTimestampTZValue) return value.micros * 1000n;
  if (value instanceof DuckDBTimestampMillisecondsValue) return value.millis * 1_000_000n;
  if (value instanceof DuckDBTimestampSecondsValue) return value.seconds * 1_000_000_000n;
  return value instanceof DuckDBTimestampNanosecondsValue ? value.nanos : undefined;
}

/** What JavaScript's dates cannot hold (`infinity`) stays DuckDB's text. */
function timestampText(nanos: bigint, text: string): string {
  const below = ((nanos % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = new Date(Number((nanos - below) / 1_000_000n));
  if (Number.isNaN(date.getTime())) return text;
  const iso = date.toISOString();
  const digits = String(below).padStart(6, '0').replace(/0+$/, '');
  return digits === '' ? iso : `${iso.slice(0, -1)}${digits}Z`;
}
