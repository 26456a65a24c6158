/**
 * Cuts what is read of a file into lines, and knows where each ends in the file.
 *
 * A line ends with LF; a CR before it is left out. Empty lines are no records. A line above the
 * bound is skipped to its end and reported, without being held in memory.
 */
export interface LineHandler {
  /** `endBytes`: the position after its line end. False: stop here, the rest waits. */
  line(bytes: Buffer, startBytes: number, endBytes: number): boolean;
  tooLong(): void;
}

const LF = 10;
const CR = 13;

export class LineSplitter {
  readonly #handler: LineHandler;
  readonly #bytesMax: number;
  /** Chunks of a line that has no end yet. */
  #parts: Buffer[] = [];
  #partsBytes = 0;
  #skipping = false;
  /** Of the chunk in hand, what was not looked at. */
  #rest: Buffer | null = null;
  /** Position in the file of the line in hand, and of the next byte to look at. */
  #lineStart: number;
  #position: number;

  constructor(handler: LineHandler, bytesMax: number, position: number, midLine = false) {
    this.#handler = handler;
    this.#bytesMax = bytesMax;
    this.#lineStart = position;
    this.#position = position;
    this.#skipping = midLine;
  }

  /** Bytes of a line without its end. */
  get partial(): number {
    return this.#partsBytes;
  }

  /** Where the line in hand begins: everything before it is done with. */
  get lineStart(): number {
    return this.#lineStart;
  }

  get hasRest(): boolean {
    return this.#rest !== null;
  }

  /** Returns false when the handler said stop; `proceed` goes on. */
  feed(chunk: Buffer): boolean {
    this.#rest = chunk;
    return this.proceed();
  }

  proceed(): boolean {
    while (this.#rest !== null) {
      const chunk: Buffer = this.#rest;
      const end = chunk.indexOf(LF);
      if (end < 0) {
        this.#rest = null;
        this.#position += chunk.length;
        this.#keep(chunk);
        return true;
      }
      this.#rest = end + 1 < chunk.length ? chunk.subarray(end + 1) : null;
      this.#position += end + 1;
      this.#keep(chunk.subarray(0, end));
      if (!this.#finish()) return false;
    }
    return true;
  }

  /** The file is over: what has no line end is its last line. */
  end(): boolean {
    return this.#partsBytes > 0 || this.#skipping ? this.#finish() : true;
  }

  #keep(part: Buffer): void {
    if (this.#skipping || part.length === 0) return;
    this.#parts.push(part);
    this.#partsBytes += part.length;
    if (this.#partsBytes <= this.#bytesMax + 1) return;
    this.#parts = [];
    this.#partsBytes = 0;
    this.#skipping = true;
    this.#handler.tooLong();
  }

  #finish(): boolean {
    const [only] = this.#parts;
    const whole = this.#parts.length === 1 ? (only as Buffer) : Buffer.concat(this.#parts);
    const line = whole.at(-1) === CR ? whole.subarray(0, -1) : whole;
    const start = this.#lineStart;
    const skipped = this.#skipping;
    this.#parts = [];
    this.#partsBytes = 0;
    this.#skipping = false;
    this.#lineStart = this.#position;
    if (skipped || line.length === 0) return true;
    if (line.length > this.#bytesMax) {
      this.#handler.tooLong();
      return true;
    }
    return this.#handler.line(line, start, this.#position);
  }
}
