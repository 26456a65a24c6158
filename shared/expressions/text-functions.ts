/**
 * Functions of texts. Lengths and positions count Unicode code points, as CEL says. `matches` runs
 * in linear time (RE2): no pattern, however bad, can stall a device.
 */
import { RE2JS, RE2JSSyntaxException } from 're2js';
import { limits } from '../limits.ts';
import {
  argument,
  type CallSite,
  type FunctionSpec,
  textual,
  textualPair,
  whole,
} from './function-spec.ts';
import type { CompiledNode, Run } from './scope.ts';
import { codePoints, failure, isMap, wrongType } from './values.ts';

const SURROGATES = /[\uD800-\uDFFF]/;

export const textFunctions: readonly FunctionSpec[] = [
  {
    name: 'size',
    form: 'both',
    arguments: ['dyn'],
    returns: 'number',
    summary: 'Characters of a text, elements of a list, keys of a map, bytes.',
    example: 'size(payload.values) > 2',
    build: (args, site) => {
      const { run, text } = argument(args, 0);
      const { meter } = site;
      meter.used = true;
      return (subject) => {
        const value = run(subject);
        if (Array.isArray(value) || value instanceof Uint8Array) return value.length;
        if (typeof value === 'string') {
          meter.charge(1 + (value.length >> 6));
          return codePoints(value);
        }
        if (!isMap(value)) return wrongType(value, text, 'a string, a list or a map');
        return Object.keys(value).length;
      };
    },
  },
  {
    name: 'startsWith',
    form: 'method',
    arguments: ['string', 'string'],
    returns: 'bool',
    summary: 'Whether a text begins with another.',
    example: "topic.startsWith('press/')",
    build: textualPair((text, start) => text.startsWith(start)),
  },
  {
    name: 'endsWith',
    form: 'method',
    arguments: ['string', 'string'],
    returns: 'bool',
    summary: 'Whether a text ends with another.',
    example: "topic.endsWith('/vibration')",
    build: textualPair((text, end) => text.endsWith(end)),
  },
  {
    name: 'contains',
    form: 'method',
    arguments: ['string', 'string'],
    returns: 'bool',
    summary: 'Whether a text contains another.',
    example: "payload.message.contains('error')",
    build: textualPair((text, part) => text.includes(part)),
  },
  {
    name: 'matches',
    form: 'both',
    arguments: ['string', 'string'],
    returns: 'bool',
    summary: 'Whether a regular expression (RE2, linear time) matches any part of a text.',
    example: String.raw`payload.serial.matches('^[A-Z]{2}\\d+$')`,
    build: matches,
  },
  {
    name: 'indexOf',
    form: 'method',
    arguments: ['string', 'string'],
    returns: 'number',
    summary: 'Position of the first occurrence, from 0; -1 when there is none.',
    example: "payload.line.indexOf(';')",
    build: textualPair((text, part) => {
      const index = text.indexOf(part);
      return index < 0 ? -1 : codePoints(text.slice(0, index));
    }),
  },
  {
    name: 'lowerAscii',
    form: 'method',
    arguments: ['string'],
    returns: 'string',
    summary: 'A text with A to Z in lower case.',
    example: 'payload.status.lowerAscii()',
    build: textual((text) => text.replaceAll(/[A-Z]+/g, (part) => part.toLowerCase())),
  },
  {
    name: 'upperAscii',
    form: 'method',
    arguments: ['string'],
    returns: 'string',
    summary: 'A text with a to z in upper case.',
    example: 'payload.status.upperAscii()',
    build: textual((text) => text.replaceAll(/[a-z]+/g, (part) => part.toUpperCase())),
  },
  {
    name: 'trim',
    form: 'method',
    arguments: ['string'],
    returns: 'string',
    summary: 'A text without white space at its ends.',
    example: 'payload.name.trim()',
    build: textual((text) => text.trim()),
  },
  {
    name: 'split',
    form: 'method',
    arguments: ['string', 'string', 'number'],
    optional: 1,
    returns: 'list',
    summary: 'The parts of a text between separators, at most as many as the limit.',
    example: "topic.split('/')[1]",
    build: split,
  },
  {
    name: 'join',
    form: 'method',
    arguments: ['list', 'string'],
    optional: 1,
    returns: 'string',
    summary: 'One text from a list of texts.',
    example: "payload.tags.join(', ')",
    build: join,
  },
  {
    name: 'replace',
    form: 'method',
    arguments: ['string', 'string', 'string'],
    returns: 'string',
    summary: 'A text with every occurrence of another replaced.',
    example: "topic.replace('/', '.')",
    build: replace,
  },
  {
    name: 'substring',
    form: 'method',
    arguments: ['string', 'number', 'number'],
    optional: 1,
    returns: 'string',
    summary: 'The characters from a position up to, and without, another.',
    example: 'payload.serial.substring(0, 2)',
    build: substring,
  },
];

/** Throws an error that says what is wrong with the pattern, or that it is too large. */
export function compilePattern(pattern: string): RE2JS {
  const compiled = RE2JS.compile(pattern);
  if (compiled.programSize() > limits.expressionPatternSizeMax) {
    throw new RE2JSSyntaxException('the pattern is too large', pattern);
  }
  return compiled;
}

function matches(args: readonly CompiledNode[], site: CallSite): Run {
  const [target, pattern] = [argument(args, 0), argument(args, 1)];
  const { meter } = site;
  meter.used = true;
  const test = (compiled: RE2JS, text: string): boolean => {
    // Time is proportional to the text's length, and at worst to the pattern's too.
    meter.charge(1 + ((text.length * (1 + (compiled.programSize() >> 6))) >> 3));
    return compiled.test(text);
  };
  const known = pattern.constant?.value;
  if (typeof known === 'string') {
    const compiled = atSubmit(known, site);
    return (subject) => {
      const text = target.run(subject);
      return typeof text === 'string'
        ? test(compiled, text)
        : wrongType(text, target.text, 'a string');
    };
  }
  let last: { readonly pattern: string; readonly compiled: RE2JS } | undefined;
  return (subject) => {
    const text = target.run(subject);
    const wanted = pattern.run(subject);
    if (typeof text !== 'string') return wrongType(text, target.text, 'a string');
    if (typeof wanted !== 'string') return wrongType(wanted, pattern.text, 'a string');
    if (last?.pattern !== wanted) {
      meter.charge(500 + wanted.length);
      last = { pattern: wanted, compiled: atRunTime(wanted, pattern.text) };
    }
    return test(last.compiled, text);
  };
}

function atSubmit(pattern: string, site: CallSite): RE2JS {
  try {
    return compilePattern(pattern);
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    return site.rejectArgument(1, error.message, 'RE2 syntax: no look-around, no back-references');
  }
}

function atRunTime(pattern: string, text: string): RE2JS {
  try {
    return compilePattern(pattern);
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    return failure('bad_format', `${text} is no pattern: ${error.message}`);
  }
}

function split(args: readonly CompiledNode[], site: CallSite): Run {
  const [target, separator, limit] = [argument(args, 0), argument(args, 1), args[2]];
  const { meter } = site;
  meter.used = true;
  return (subject) => {
    const text = target.run(subject);
    const by = separator.run(subject);
    if (typeof text !== 'string') return wrongType(text, target.text, 'a string');
    if (typeof by !== 'string') return wrongType(by, separator.text, 'a string');
    meter.charge(1 + (text.length >> 6));
    const max = limit === undefined ? Infinity : whole(limit, limit.run(subject), 1_000_000);
    const parts = by === '' ? Array.from(text) : text.split(by);
    meter.charge(parts.length);
    if (parts.length <= max) return parts;
    return max === 0 ? [] : [...parts.slice(0, max - 1), parts.slice(max - 1).join(by)];
  };
}

function join(args: readonly CompiledNode[], site: CallSite): Run {
  const [target, separator] = [argument(args, 0), args[1]];
  const { meter } = site;
  meter.used = true;
  return (subject) => {
    const items = target.run(subject);
    const by = separator === undefined ? '' : separator.run(subject);
    if (!Array.isArray(items)) return wrongType(items, target.text, 'a list');
    if (typeof by !== 'string') return wrongType(by, separator?.text ?? '', 'a string');
    let length = 0;
    for (const item of items as readonly unknown[]) {
      if (typeof item !== 'string') {
        return wrongType(item, `an element of ${target.text}`, 'a string');
      }
      length += item.length + by.length;
      meter.charge(1);
    }
    bounded(length, site);
    return items.join(by);
  };
}

function replace(args: readonly CompiledNode[], site: CallSite): Run {
  const [target, from, to] = [argument(args, 0), argument(args, 1), argument(args, 2)];
  const { meter } = site;
  meter.used = true;
  return (subject) => {
    const text = target.run(subject);
    const old = from.run(subject);
    const fresh = to.run(subject);
    if (typeof text !== 'string') return wrongType(text, target.text, 'a string');
    if (typeof old !== 'string') return wrongType(old, from.text, 'a string');
    if (typeof fresh !== 'string') return wrongType(fresh, to.text, 'a string');
    meter.charge(1 + (text.length >> 6));
    const parts = text.split(old);
    // Counted before the text is made: replacing every letter by a megabyte must not be tried.
    bounded(text.length + parts.length * fresh.length, site);
    return parts.join(fresh);
  };
}

function bounded(length: number, site: CallSite): void {
  if (length > limits.expressionTextCharsMax) {
    failure(
      'too_large',
      `${site.text} gives more than ${limits.expressionTextCharsMax} characters`,
    );
  }
  site.meter.charge(length >> 6);
}

function substring(args: readonly CompiledNode[], site: CallSite): Run {
  const [target, from, to] = [argument(args, 0), argument(args, 1), args[2]];
  const { meter } = site;
  meter.used = true;
  return (subject) => {
    const text = target.run(subject);
    if (typeof text !== 'string') return wrongType(text, target.text, 'a string');
    meter.charge(1 + (text.length >> 6));
    const characters = SURROGATES.test(text) ? Array.from(text) : text;
    const start = whole(from, from.run(subject), characters.length);
    const end =
      to === undefined ? characters.length : whole(to, to.run(subject), characters.length);
    if (end < start) failure('out_of_range', `${site.text} ends before it starts`);
    const part = characters.slice(start, end);
    return typeof part === 'string' ? part : part.join('');
  };
}
