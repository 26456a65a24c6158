import { describe, expect, it } from 'vitest';
import { isTooDeep } from '@runnel/shared/engine/json-depth.ts';
import { limits } from '@runnel/shared/limits.ts';

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;

describe('the depth of a JSON text', () => {
  it('may be the limit, and not one more', () => {
    const padding = ' '.repeat(600);
    expect(isTooDeep(nested(limits.jsonDepthMax) + padding)).toBe(false);
    expect(isTooDeep(nested(limits.jsonDepthMax + 1) + padding)).toBe(true);
  });

  it('does not count brackets in strings, nor siblings', () => {
    expect(isTooDeep(JSON.stringify({ text: `\\"${'['.repeat(5000)}` }))).toBe(false);
    expect(isTooDeep(JSON.stringify(Array.from({ length: 5000 }, () => [{}])))).toBe(false);
  });

  it('of 50,000 levels is found although no stack could hold it', () => {
    expect(isTooDeep(nested(50_000))).toBe(true);
  });
});
