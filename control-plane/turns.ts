/** Work that must not overlap: each turn begins when the one before it has ended, well or not. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** A failure belongs to the caller of its turn; the next one begins all the same. */
  take<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run);
    this.#last = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  /** Resolves when every turn that was asked for so far has ended. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
