/**
 * Random lives of the outbox beside a model (I3, I5): rows are added, committed, given out,
 * acknowledged wholly, in part or twice, commits fail, the bound is met, the process dies.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LANES } from '@runnel/shared/protocol/results.ts';
import { openTestStore } from './open-test-store.ts';
import { OutboxModel } from './outbox-model.ts';

const lane = fc.constantFrom(...LANES);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('add'), lane, n: fc.nat(15), chars: fc.nat(150) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('commit') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('send'), lane }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('exchange'), lane, part: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart') }) },
);
type Step = {
  do: string;
  lane?: (typeof LANES)[number];
  n?: number;
  chars?: number;
  part?: number;
};

async function play(model: OutboxModel, each: Step): Promise<void> {
  const { lane: name = 'results', n = 0, chars = 0, part = 0 } = each;
  if (each.do === 'add') for (let count = 0; count <= n; count++) model.add(name, chars);
  else if (each.do === 'commit') await model.commit();
  else if (each.do === 'fail') await model.commit(true);
  else if (each.do === 'send') model.next(name);
  else if (each.do === 'restart') model.restart();
  else {
    const block = model.next(name);
    if (block === undefined) return;
    // A control plane that took a part of a block: below 50 in two, then all of it and once again.
    const mark = block.after + Math.floor((block.last - block.after) * Math.min(1, part / 50));
    await model.acknowledge(block, mark);
    if (part > 90) await model.acknowledge(block, mark);
  }
}

describe('the outbox', () => {
  it('gives every committed row once, or declares it lost, whatever happens', async () => {
    let dropped = 0;
    let restarts = 0;
    let unsendable = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
        async (steps: readonly Step[]) => {
          const model = new OutboxModel(openTestStore());
          for (const each of steps) await play(model, each);
          // Rows that nobody committed are nobody's yet.
          model.restart();
          await model.drain();
          expect(model.arrived + model.declared).toBe(model.committedRows);
          expect(model.declared).toBe(model.droppedRows);
          expect(model.depth()).toMatchObject({ rows: 0, bytes: 0, oldestAt: null });
          dropped += model.droppedRows;
          unsendable += model.unsendable;
          restarts += steps.filter(({ do: what }) => what === 'restart').length;
        },
      ),
      { numRuns: 80, seed: 2026, endOnFailure: true },
    );
    // The hard cases were met.
    expect(dropped).toBeGreaterThan(200);
    expect(unsendable).toBeGreaterThan(200);
    expect(restarts).toBeGreaterThan(20);
  }, 60_000);
});
