/**
 * Conversions between types. A text that is no number is an error, never NaN; a number becomes the
 * shortest text that reads back the same.
 */
import { argument, finite, type FunctionSpec } from './function-spec.ts';
import { failure, isMap, typeName, wrongType } from './values.ts';

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const INTEGER = /^[+-]?\d+$/;

export const conversionFunctions: readonly FunctionSpec[] = [
  {
    name: 'int',
    form: 'function',
    arguments: ['dyn'],
    returns: 'number',
    summary: 'A whole number: a number without its fraction, or the number that a text holds.',
    example: "int(topic.split('/')[1])",
    build: numberFrom((text) => (INTEGER.test(text) ? Number(text) : undefined), Math.trunc),
  },
  {
    name: 'double',
    form: 'function',
    arguments: ['dyn'],
    returns: 'number',
    summary: 'The number that a text holds.',
    example: 'double(payload.text) > 1.5',
    build: numberFrom(
      (text) => (DECIMAL.test(text) ? Number(text) : undefined),
      (x) => x,
    ),
  },
  {
    name: 'string',
    form: 'function',
    arguments: ['dyn'],
    returns: 'string',
    summary: 'The text of a number, a boolean, or UTF-8 bytes.',
    example: "'line ' + string(payload.line)",
    build: (args) => {
      const { run, text } = argument(args, 0);
      return (subject) => {
        const value = run(subject);
        if (typeof value === 'string') return value;
        if (typeof value === 'number' || typeof value === 'boolean') return String(value);
        if (value instanceof Uint8Array) return decoded(value, text);
        return wrongType(value, text, 'a number, a boolean or a text');
      };
    },
  },
  {
    name: 'bool',
    form: 'function',
    arguments: ['dyn'],
    returns: 'bool',
    summary: 'A boolean from the texts "true" and "false".',
    example: 'bool(payload.flag)',
    build: (args) => {
      const { run, text } = argument(args, 0);
      return (subject) => {
        const value = run(subject);
        if (typeof value === 'boolean') return value;
        if (value === 'true') return true;
        if (value === 'false') return false;
        if (typeof value !== 'string') return wrongType(value, text, 'a bool or a text');
        return failure('bad_format', `${text} is neither "true" nor "false"`);
      };
    },
  },
  {
    name: 'dyn',
    form: 'function',
    arguments: ['dyn'],
    returns: 'dyn',
    summary: 'The value itself, with nothing known of its type at submit.',
    example: 'dyn(topic)',
    build: (args) => argument(args, 0).run,
  },
  {
    name: 'type',
    form: 'function',
    arguments: ['dyn'],
    returns: 'string',
    summary: 'The name of the type: null, bool, number, string, list, map or bytes.',
    example: "type(payload.value) == 'number'",
    build: (args) => {
      const { run } = argument(args, 0);
      return (subject) => typeName(run(subject));
    },
  },
  {
    name: 'keys',
    form: 'method',
    arguments: ['map'],
    returns: 'list',
    summary: 'The keys of a map, in the order of the document.',
    example: 'payload.readings.keys()',
    build: (args, site) => {
      const { run, text } = argument(args, 0);
      site.meter.used = true;
      return (subject) => {
        const value = run(subject);
        if (!isMap(value)) return wrongType(value, text, 'a map');
        const keys = Object.keys(value);
        site.meter.charge(keys.length);
        return keys;
      };
    },
  },
];

function numberFrom(
  parse: (text: string) => number | undefined,
  apply: (value: number) => number,
): FunctionSpec['build'] {
  return (args, site) => {
    const { run, text } = argument(args, 0);
    return (subject) => {
      const value = run(subject);
      if (typeof value === 'number') return apply(value) + 0;
      if (typeof value === 'boolean') return value ? 1 : 0;
      if (typeof value !== 'string') return wrongType(value, text, 'a number or a text');
      const parsed = parse(value.trim());
      if (parsed === undefined) {
        return failure('bad_format', `${text} is "${value.slice(0, 40)}", which is no number`);
      }
      return finite(parsed, site.text);
    };
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decoded(bytes: Uint8Array, text: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return failure('bad_format', `${text} is not UTF-8`);
  }
}
