/** Tasks of value `wait` go on when told, or end with their signal. */
import { runnersWith } from './batch-site.ts';

export class Gate {
  #open: (() => void)[] = [];
  /** How many wait now, and how many ever began to. */
  waiting = 0;
  begun = 0;

  readonly runners = runnersWith(async (value, _config, { signal }) => {
    if (value !== 'wait') return;
    this.waiting++;
    this.begun++;
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.#open.push(resolve);
    }).finally(() => this.waiting--);
  });

  open(): void {
    for (const resolve of this.#open.splice(0)) resolve();
  }
}
