/**
 * Holds the acknowledgements of what was offered until its commit is on disk (I1).
 *
 * A queue in the order of arrival, one entry per message: offered ones wait for `release`; skipped
 * ones (too large, or a redelivery of what was already committed) are acknowledged as soon as
 * nothing offered stands before them, so that the order of PUBACKs stays the order of PUBLISHes,
 * as the standard demands. All acknowledgements of one commit leave as one buffer.
 *
 * Two plain typed arrays as a ring that grows by doubling: no object, promise or closure for a
 * message. The receive maximum of the session and the gather bound of the commit cycle bound it.
 */
const SKIPPED = 0x1_0000;
const PUBACK_FLAGS = 0x40;
const PUBACK_BYTES = 4;

export class DeferredPubacks {
  /** Packet id (0: QoS 0), with `SKIPPED` set where nothing was offered. */
  #ids = new Uint32Array(1024);
  #crcs = new Uint32Array(1024);
  #head = 0;
  #length = 0;
  #offered = 0;

  /** Messages offered and not yet released. */
  get offered(): number {
    return this.#offered;
  }

  /** Those of them that no broker sends again. */
  get offeredQos0(): number {
    let count = 0;
    for (let index = 0; index < this.#length; index += 1) {
      if (this.#ids[(this.#head + index) & (this.#ids.length - 1)] === 0) count += 1;
    }
    return count;
  }

  offer(packetId: number, crc: number): void {
    if (this.#length === this.#ids.length) this.#grow();
    const at = (this.#head + this.#length) & (this.#ids.length - 1);
    this.#ids[at] = packetId;
    this.#crcs[at] = crc;
    this.#length += 1;
    this.#offered += 1;
  }

  /** Only for QoS 1; a skipped QoS 0 message needs no acknowledgement. */
  skip(packetId: number): void {
    if (this.#length === this.#ids.length) this.#grow();
    this.#ids[(this.#head + this.#length) & (this.#ids.length - 1)] = packetId | SKIPPED;
    this.#length += 1;
  }

  /** Shows the QoS 1 messages among the oldest `count` offered ones. */
  peek(count: number, visit: (packetId: number, crc: number) => void): void {
    const mask = this.#ids.length - 1;
    for (let index = 0, left = count; left > 0 && index < this.#length; index += 1) {
      const at = (this.#head + index) & mask;
      const id = this.#ids[at] as number;
      if (id >= SKIPPED) continue;
      left -= 1;
      if (id !== 0) visit(id, this.#crcs[at] as number);
    }
  }

  /**
   * Forgets the oldest `count` offered messages and the skipped ones up to the next offered one.
   * Returns their PUBACKs, or null when none of them needs one.
   */
  release(count: number): Buffer | null {
    const mask = this.#ids.length - 1;
    const pubacks = Buffer.allocUnsafe(this.#releasable(count) * PUBACK_BYTES);
    let bytes = 0;
    let left = count;
    while (this.#length > 0) {
      const id = this.#ids[this.#head] as number;
      if (id < SKIPPED) {
        if (left === 0) break;
        left -= 1;
        this.#offered -= 1;
      }
      this.#head = (this.#head + 1) & mask;
      this.#length -= 1;
      const packetId = id & 0xffff;
      if (packetId === 0) continue;
      pubacks[bytes] = PUBACK_FLAGS;
      pubacks[bytes + 1] = 2;
      pubacks[bytes + 2] = packetId >> 8;
      pubacks[bytes + 3] = packetId & 0xff;
      bytes += PUBACK_BYTES;
    }
    return bytes === 0 ? null : pubacks.subarray(0, bytes);
  }

  clear(): void {
    this.#head = 0;
    this.#length = 0;
    this.#offered = 0;
  }

  /** At most this many entries leave with `count` offered ones. */
  #releasable(count: number): number {
    return Math.min(this.#length, count + this.#length - this.#offered);
  }

  #grow(): void {
    const size = this.#ids.length;
    const ids = new Uint32Array(size * 2);
    const crcs = new Uint32Array(size * 2);
    for (let index = 0; index < this.#length; index += 1) {
      const at = (this.#head + index) & (size - 1);
      ids[index] = this.#ids[at] as number;
      crcs[index] = this.#crcs[at] as number;
    }
    this.#ids = ids;
    this.#crcs = crcs;
    this.#head = 0;
  }
}
