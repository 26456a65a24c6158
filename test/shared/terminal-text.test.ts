import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inert, inertButColoured } from '@runnel/shared/terminal-text.ts';

describe('text for a terminal', () => {
  it.each([
    ['plain text, ünïcödé 日本 and 😀', 'plain text, ünïcödé 日本 and 😀'],
    ['lines\n\tand tabs', 'lines\n\tand tabs'],
    ['\u001B[2J', '\\u001b[2J'],
    ['\u009B2J, as one character', '\\u009b2J, as one character'],
    ['\u001B]0;title\u0007', '\\u001b]0;title\\u0007'],
    ['over\rwritten', 'over\\u000dwritten'],
    ['rub\b\u007Fout', 'rub\\u0008\\u007fout'],
    ['turned \u202Eround\u2069', 'turned \\u202eround\\u2069'],
    ['a\u2028b', 'a\\u2028b'],
  ])('%j is written as %j', (text, written) => {
    expect(inert(text)).toBe(written);
  });

  it('keeps colours only where they are ours to give, and nothing else that begins alike', () => {
    const red = '\u001B[31mred\u001B[0m';
    expect(inert(red)).toBe('\\u001b[31mred\\u001b[0m');
    expect(inertButColoured(`${red}\u001B[31;5m\u001B[3Jx\u001B[`)).toBe(
      `${red}\\u001b[31;5m\\u001b[3Jx\\u001b[`,
    );
  });

  it('means the same in JSON, and holds no control character', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const written = inert(JSON.stringify([value, text]));
        expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify([value, text])));
        expect(written).not.toMatch(/[^\P{Cc}\n\t]/u);
      }),
    );
  });
});
