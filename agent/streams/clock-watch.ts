/**
 * Journals whether the device's clock is synchronised: at the start, when it changes, and for jobs
 * that have just begun. It is an input like any other (I6): while it is not, `maxAhead` is off.
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { ControlEntry } from '../journal/control-entry.ts';
import type { Participant } from './participant.ts';

const EVERY_MS = 10_000;

interface ClockWatchOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly isSynchronised: (nowMs: number) => boolean;
  readonly control: (entry: ControlEntry) => void;
}

/** Undefined where the clock can always be believed. */
export function clockWatchOf(
  device: Pick<ClockWatchOptions, 'clock' | 'log'> & {
    readonly isClockSynchronised?: (nowMs: number) => boolean;
  },
  control: ClockWatchOptions['control'],
): ClockWatch | undefined {
  const { clock, log, isClockSynchronised: isSynchronised } = device;
  if (isSynchronised === undefined) return undefined;
  return new ClockWatch({ clock, log, isSynchronised, control });
}

export class ClockWatch implements Participant {
  readonly isDirty = false;
  readonly #options: ClockWatchOptions;
  #journaled: boolean | undefined;
  #known = true;
  #cancel: (() => void) | undefined;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
  }

  /** The jobs have been applied: those that are new take the clock for synchronised. */
  applied(): void {
    if (this.#journaled === false) this.#journaled = undefined;
    this.#check();
  }

  stage(): void {
    // What it says is a journal entry.
  }

  committed(): void {
    // Nothing waits for it.
  }

  /** The failed commit may have taken the entry with it. */
  reload(): void {
    this.#journaled = undefined;
    if (this.#cancel !== undefined) this.#check();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #check(): void {
    const { clock, control, isSynchronised, log } = this.#options;
    this.#cancel?.();
    this.#cancel = clock.after(EVERY_MS, () => this.#check());
    const synchronised = isSynchronised(clock.now());
    if (synchronised === this.#journaled) return;
    this.#journaled = synchronised;
    if (synchronised !== this.#known) {
      log.warn({ synchronised }, 'maxAhead is off while the clock is not synchronised');
    }
    this.#known = synchronised;
    control({ kind: 'clock', synchronised });
  }
}
