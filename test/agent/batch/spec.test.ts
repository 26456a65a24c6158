import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repository } from '../../support/processes.ts';

const spec = readFileSync(join(repository, 'agent/batch/SPEC.md'), 'utf8');
const invariants = [...spec.matchAll(/^\| (I-B\d+) \| .* \| `(.+?)`: (.+) \|$/gm)];

it('has as many invariants as it numbers', () => {
  const names = invariants.map(([, name]) => name);
  expect(names).toEqual(names.map((_, index) => `I-B${index + 1}`));
  expect(names.length).toBe(spec.match(/^\| I-B/gm)?.length);
});

it.each(invariants.map(([, name, file, claim]) => [name, file, claim]))(
  '%s is held by a test that is there: %s: %s',
  (_, file = '', claim = '') => {
    const text = readFileSync(join(repository, 'test/agent/batch', file), 'utf8');
    expect(text.replaceAll(/\s+/g, ' ')).toContain(claim);
  },
);
