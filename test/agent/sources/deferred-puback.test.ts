/** The queue of held acknowledgements, against a naive one. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeferredPubacks } from '@runnel/agent/sources/deferred-puback.ts';

function ids(pubacks: Buffer | null): number[] {
  const found: number[] = [];
  for (let at = 0; pubacks !== null && at < pubacks.length; at += 4) {
    expect(pubacks.readUInt16BE(at)).toBe(0x4002);
    found.push(pubacks.readUInt16BE(at + 2));
  }
  return found;
}

describe('held PUBACKs', () => {
  it('leave in the order of arrival, skipped ones in their turn', () => {
    const held = new DeferredPubacks();
    held.skip(1);
    expect(ids(held.release(0))).toEqual([1]);
    held.offer(2, 0);
    held.skip(3);
    held.offer(4, 0);
    held.offer(0, 0);
    held.skip(5);
    expect(held.release(0)).toBeNull();
    expect(ids(held.release(1))).toEqual([2, 3]);
    expect(ids(held.release(2))).toEqual([4, 5]);
    expect(held.offered).toBe(0);
  });

  it('are the same as those of a plain list, whatever happens', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ do: fc.constant('offer'), id: fc.integer({ min: 0, max: 65_535 }) }),
        fc.record({ do: fc.constant('skip'), id: fc.integer({ min: 1, max: 65_535 }) }),
        fc.record({ do: fc.constant('release'), id: fc.integer({ min: 0, max: 5 }) }),
      ),
      { maxLength: 3000, size: 'max' },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const held = new DeferredPubacks();
        let naive: { id: number; offered: boolean }[] = [];
        for (const step of list) {
          if (step.do === 'offer') {
            held.offer(step.id, step.id * 7);
            naive.push({ id: step.id, offered: true });
          } else if (step.do === 'skip') {
            held.skip(step.id);
            naive.push({ id: step.id, offered: false });
          } else {
            const count = Math.min(step.id, naive.filter((each) => each.offered).length);
            const peeked: number[] = [];
            held.peek(count, (id, crc) => {
              expect(crc).toBe(id * 7);
              peeked.push(id);
            });
            let left = count;
            const end = naive.findIndex((each) => each.offered && left-- === 0);
            const gone = end < 0 ? naive : naive.slice(0, end);
            naive = end < 0 ? [] : naive.slice(end);
            const offered = gone.filter((each) => each.offered).map((each) => each.id);
            expect(peeked).toEqual(offered.filter((id) => id !== 0));
            expect(ids(held.release(count))).toEqual(
              gone.map((each) => each.id).filter((id) => id !== 0),
            );
          }
          expect(held.offered).toBe(naive.filter((each) => each.offered).length);
        }
      }),
      { numRuns: 30 },
    );
  });
});
