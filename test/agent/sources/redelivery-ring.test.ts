/** What is remembered of acknowledged messages, over commits, restarts and lost sessions. */
import { describe, expect, it } from 'vitest';
import { RedeliveryRing } from '@runnel/agent/sources/redelivery-ring.ts';

type Committed = Pick<RedeliveryRing, 'prepare' | 'committed'>;

/** Commits as the store would: chunks appended, older ones deleted. */
function commit(ring: Committed, stored: Uint8Array[]): Uint8Array[] {
  const { ringChunk, ringChunksKept } = ring.prepare();
  const all = ringChunk === undefined ? stored : [...stored, ringChunk];
  ring.committed();
  if (ringChunksKept === undefined) return all;
  return ringChunksKept === 0 ? [] : all.slice(-ringChunksKept);
}

describe('the redelivery ring', () => {
  it('finds after a restart what was committed, and nothing that was not', () => {
    const ring = new RedeliveryRing({ entriesMax: 100 }, []);
    ring.add('', 1, 0xdeadbeef);
    ring.add('', 65_535, 0);
    const stored = commit(ring, []);
    ring.add('', 3, 3);
    ring.prepare();
    ring.discarded();
    for (const each of [ring, new RedeliveryRing({ entriesMax: 100 }, stored)]) {
      expect([...each.lookup('')]).toEqual([
        [1, 0xdeadbeef],
        [65_535, 0],
      ]);
    }
  });

  it('keeps the newest entries, at least the receive maximum, in few chunks', () => {
    const ring = new RedeliveryRing({ entriesMax: 50, chunksMax: 8 }, []);
    let stored: Uint8Array[] = [];
    for (let id = 1; id <= 1000; id += 1) {
      ring.add('', id, id * 3);
      stored = commit(ring, stored);
      expect(stored.length).toBeLessThanOrEqual(8);
    }
    const found = new RedeliveryRing({ entriesMax: 50 }, stored).lookup('');
    expect(found.size).toBeGreaterThanOrEqual(50);
    expect(found.size).toBeLessThanOrEqual(101);
    for (let id = 951; id <= 1000; id += 1) expect(found.get(id)).toBe(id * 3);
    expect(found).toEqual(ring.lookup(''));
  });

  it('bounds large commits too', () => {
    const ring = new RedeliveryRing({ entriesMax: 100 }, []);
    let stored: Uint8Array[] = [];
    for (let round = 0; round < 10; round += 1) {
      for (let id = 1; id <= 5000; id += 1) ring.add('', id, round);
      stored = commit(ring, stored);
    }
    const bytes = stored.reduce((sum, chunk) => sum + chunk.length, 0);
    expect(bytes).toBeLessThan(5000 * 6 * 2);
    expect(ring.lookup('').get(5000)).toBe(9);
  });

  it('does not let a busy publisher push out a quiet one', () => {
    const ring = new RedeliveryRing({ entriesMax: 200, chunksMax: 4 }, []);
    ring.add('quiet', 1, 11);
    let stored = commit(ring, []);
    for (let round = 0; round < 50; round += 1) {
      for (let id = 1; id <= 150; id += 1) ring.add('busy', id, round);
      stored = commit(ring, stored);
    }
    const restored = new RedeliveryRing({ entriesMax: 200 }, stored);
    expect(restored.lookup('quiet').get(1)).toBe(11);
    expect(restored.has('quiet')).toBe(true);
    expect(restored.has('nobody')).toBe(false);
  });

  it('clears a lost session, in memory at once and on disk with the next commit', () => {
    const ring = new RedeliveryRing({ entriesMax: 100 }, []);
    ring.add('', 1, 1);
    let stored = commit(ring, []);
    expect(ring.stored).toBe(true);
    ring.forget('');
    expect(ring.lookup('').size).toBe(0);
    stored = commit(ring, stored);
    expect(stored).toEqual([]);
    expect(ring.stored).toBe(false);
  });

  it('forgets one client and keeps the others', () => {
    const ring = new RedeliveryRing({ entriesMax: 100 }, []);
    ring.add('a', 1, 1);
    ring.add('b', 1, 2);
    let stored = commit(ring, []);
    ring.forget('a');
    ring.add('a', 1, 9);
    stored = commit(ring, stored);
    const restored = new RedeliveryRing({ entriesMax: 100 }, stored);
    expect([...restored.lookup('a')]).toEqual([[1, 9]]);
    expect([...restored.lookup('b')]).toEqual([[1, 2]]);
  });

  it('clears again when the commit that should clear failed', () => {
    const ring = new RedeliveryRing({ entriesMax: 100 }, []);
    ring.add('', 1, 1);
    const stored = commit(ring, []);
    ring.forget('');
    ring.prepare();
    ring.discarded();
    expect(ring.lookup('').size).toBe(0);
    expect(commit(ring, stored)).toEqual([]);
  });

  it('refuses a chunk of an unknown version', () => {
    expect(() => new RedeliveryRing({ entriesMax: 1 }, [Uint8Array.of(9)])).toThrow(/version 9/);
  });
});
