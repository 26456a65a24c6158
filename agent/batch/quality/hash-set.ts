/**
 * A set of texts of any length in 16 bytes each: the first half of their SHA-256. Two different
 * texts among a million are taken for one with a probability below 1e-26.
 *
 * Open addressing with linear probing over one array of numbers, doubled when it is two thirds
 * full; the hash is its own place, since its bits are uniform. A zero marks a free slot, so the
 * lowest bit of a hash is always set.
 */
import { createHash } from 'node:crypto';

const WORDS = 4;

export class HashSet {
  size = 0;
  #slots = 1024;
  #words = new Uint32Array(this.#slots * WORDS);

  /** False when it was there. */
  add(text: string): boolean {
    const digest = createHash('sha256').update(text).digest();
    const hash = new Uint32Array(WORDS);
    for (let word = 0; word < WORDS; word += 1) hash[word] = digest.readUInt32LE(word * 4);
    hash[0] = hash[0]! | 1;
    if (!this.#put(hash, 0)) return false;
    this.size += 1;
    if (this.size * 3 > this.#slots * 2) this.#grow();
    return true;
  }

  #put(from: Uint32Array, at: number): boolean {
    const words = this.#words;
    const mask = this.#slots - 1;
    for (let slot = from[at + 1]! & mask; ; slot = (slot + 1) & mask) {
      const place = slot * WORDS;
      if (words[place] === 0) {
        for (let word = 0; word < WORDS; word += 1) words[place + word] = from[at + word]!;
        return true;
      }
      let same = true;
      for (let word = 0; same && word < WORDS; word += 1) {
        same = words[place + word] === from[at + word];
      }
      if (same) return false;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * WORDS);
    for (let at = 0; at < old.length; at += WORDS) if (old[at] !== 0) this.#put(old, at);
  }
}
