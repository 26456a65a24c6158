/**
 * PostgreSQL's values as JSON, and nothing lost on the way:
 *
 * | type                           | JSON                                                        |
 * |--------------------------------|-------------------------------------------------------------|
 * | int8, numeric                  | a number where it holds every digit, else a text            |
 * | float4, float8                 | a number; NaN and infinities as texts                       |
 * | timestamptz                    | ISO 8601 in UTC with the digits that are there (`…56.123Z`) |
 * | timestamp, date, time          | ISO 8601 without a zone                                     |
 * | interval                       | ISO 8601 (`PT1H30M`)                                        |
 * | json, jsonb, arrays, booleans  | as they are                                                 |
 * | bytea                          | base64                                                      |
 * | everything else                | PostgreSQL's own text                                       |
 */
import type { Json } from '@runnel/shared/engine/record.ts';

const OIDS = {
  bool: 16,
  bytea: 17,
  int8: 20,
  int2: 21,
  int4: 23,
  oid: 26,
  json: 114,
  float4: 700,
  float8: 701,
  timestamp: 1114,
  timestamptz: 1184,
  numeric: 1700,
  jsonb: 3802,
} as const;

type Parse = (text: string) => Json;

/** Digits that every double keeps. */
const DIGITS_MAX = 15;

function exactNumber(text: string): Json {
  const digits = text.replaceAll(/^-|\.|^-?0\./g, '').replace(/^0+/, '');
  const value = Number(text);
  const isExact = Number.isSafeInteger(value) || digits.length <= DIGITS_MAX;
  return Number.isFinite(value) && isExact ? value : text;
}

function float(text: string): Json {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

const instant: Parse = (text) => text.replace(' ', 'T').replace(/\+00$/, 'Z');

const PARSERS = new Map<number, Parse>([
  [OIDS.bool, (text) => text === 't'],
  [OIDS.bytea, (text) => Buffer.from(text.replace(/^\\x/, ''), 'hex').toString('base64')],
  [OIDS.int8, exactNumber],
  [OIDS.int2, Number],
  [OIDS.int4, Number],
  [OIDS.oid, Number],
  [OIDS.json, (text) => JSON.parse(text) as Json],
  [OIDS.jsonb, (text) => JSON.parse(text) as Json],
  [OIDS.float4, float],
  [OIDS.float8, float],
  [OIDS.timestamp, (text) => text.replace(' ', 'T')],
  [OIDS.timestamptz, instant],
  [OIDS.numeric, exactNumber],
]);

/** Arrays by the type of their elements. */
const ARRAYS = new Map<number, number>([
  [1000, OIDS.bool],
  [1001, OIDS.bytea],
  [1005, OIDS.int2],
  [1007, OIDS.int4],
  [1016, OIDS.int8],
  [1021, OIDS.float4],
  [1022, OIDS.float8],
  [1231, OIDS.numeric],
  [1115, OIDS.timestamp],
  [1185, OIDS.timestamptz],
  [199, OIDS.json],
  [3807, OIDS.jsonb],
  // Texts: text, varchar, bpchar, name, uuid, date, time.
  [1009, 0],
  [1015, 0],
  [1014, 0],
  [1003, 0],
  [2951, 0],
  [1182, 0],
  [1183, 0],
]);

const asText: Parse = (text) => text;

/** What pg asks for a column; values come as texts. */
export const postgresTypes = {
  getTypeParser(oid: number): Parse {
    const parse = PARSERS.get(oid);
    if (parse !== undefined) return parse;
    const element = ARRAYS.get(oid);
    return element === undefined ? asText : arrayParser(PARSERS.get(element) ?? asText);
  },
};

/** `{1,NULL,"a \"b\"",{2}}`, as the manual has it (8.15.6). */
function arrayParser(parse: Parse): Parse {
  return (text) => {
    let at = text.indexOf('{') + 1;
    const list = (): Json[] => {
      const items: Json[] = [];
      for (; at < text.length; at += 1) {
        const char = text[at] ?? '';
        if (char === '}') return items;
        if (char === ',') continue;
        if (char === '{') {
          at += 1;
          items.push(list());
        } else items.push(item(char));
      }
      return items;
    };
    const item = (first: string): Json => {
      if (first === '"') {
        let value = '';
        for (at += 1; text[at] !== '"' && at < text.length; at += 1) {
          if (text[at] === '\\') at += 1;
          value += text[at];
        }
        return parse(value);
      }
      const [word = ''] = /^[^,}]*/.exec(text.slice(at)) ?? [];
      at += word.length - 1;
      return word === 'NULL' ? null : parse(word);
    };
    return list();
  };
}
