/** Values that are read in place: what a scan of the journal does with every block. */
import { describe, expect, it } from 'vitest';
import { openTestStore } from '../outbox/open-test-store.ts';

const KiB = 1024;
const valueOf = (block: number, bytes: number): Buffer => Buffer.alloc(bytes, `${block} `);

describe('a value that is read in place', () => {
  it('is the value, whatever its size, and undefined where there is none', async () => {
    const store = openTestStore();
    const sizes = [0, 1, 100, 4 * KiB, 64 * KiB - 64, 64 * KiB, 1024 * KiB, 5 * 1024 * KiB, 7];
    await store.commit((tx) => {
      for (const [block, size] of sizes.entries()) tx.put('journal', block, valueOf(block, size));
    });
    for (const [block, size] of sizes.entries()) {
      const read = store.read('journal', block, (bytes) => {
        expect(Buffer.isBuffer(bytes)).toBe(true);
        return { text: bytes.toString('latin1'), size: bytes.length };
      });
      expect(read?.size).toBe(size);
      expect(read?.text === valueOf(block, size).toString('latin1'), `of ${size}`).toBe(true);
    }
    expect(store.read('journal', sizes.length, () => 'there')).toBeUndefined();
  });

  it('leaves no copies to the garbage collector', async () => {
    const store = openTestStore();
    const blocks = 400;
    await store.commit((tx) => {
      for (let block = 0; block < blocks; block++) tx.put('journal', block, valueOf(1, 60 * KiB));
    });
    const before = process.memoryUsage().arrayBuffers;
    let first = 0;
    for (let block = 0; block < blocks; block++) {
      first += store.read('journal', block, (bytes) => bytes[0] ?? 0) ?? 0;
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    expect(first).toBe(blocks * '1'.charCodeAt(0));
    // A copy of each would be 23 MiB.
    expect(grown).toBeLessThan(1024 * KiB);
  });
});
