/** Every operator of the registry, held to the contract. */
import { expect, test } from 'vitest';
import { operators } from '@runnel/shared/engine/operators/registry.ts';
import { operatorContract } from './operator-contract.ts';

/** A step over 2,000 keys that each come once, and what it may keep of them at the end. */
const bounds: Readonly<Record<string, { step: string; entriesMax: number }>> = {
  filter: { step: 'filter: "payload.v == 1"', entriesMax: 0 },
  map: { step: 'map: { drop: [v] }', entriesMax: 0 },
  window: {
    step: 'window: { tumbling: 10s, by: "payload.key" }\naggregate: { n: "count()" }',
    entriesMax: 0,
  },
  alert: { step: 'alert: { when: "payload.v > 5", by: "payload.key" }', entriesMax: 0 },
};

for (const operator of operators) {
  const bound = bounds[operator.name];
  if (bound !== undefined) operatorContract({ operator, bound });
}

test('every operator is held to the contract', () => {
  expect(Object.keys(bounds).sort()).toEqual(operators.map((operator) => operator.name).sort());
});
