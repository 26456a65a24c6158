/**
 * What the commands write to and read from. Everything of the process comes in here, so that tests
 * run the same commands with texts instead of a terminal.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { inert, inertButColoured } from '@runnel/shared/terminal-text.ts';

export interface Terminal {
  /** Results only. */
  out(text: string): void;
  /** Everything else: progress, warnings, errors. */
  err(text: string): void;
  /** All of standard input, for `-f -`. */
  readInput(): Promise<string>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Whether a person reads standard output. */
  readonly interactive: boolean;
  /** Columns of the terminal; tables are cut to it. Undefined: never cut. */
  readonly columns: number | undefined;
  /** Aborts when the person presses Ctrl-C, for `--follow`. */
  readonly interrupted: AbortSignal;
  /** Runs a program with our standard streams and gives its exit code. */
  handOver(program: string, args: readonly string[]): Promise<number>;
}

/**
 * The same terminal, to which no text can do anything, whatever a command forgets: the one place
 * that all output passes.
 */
export function guarded(terminal: Terminal): Terminal {
  const safe = coloured(terminal) ? inertButColoured : inert;
  const guard: Terminal = Object.create(terminal, {
    out: { value: (text: string) => terminal.out(safe(text)) },
    err: { value: (text: string) => terminal.err(safe(text)) },
  });
  return guard;
}

/** Colours only for people who did not ask for none. */
function coloured(terminal: Terminal): boolean {
  return terminal.interactive && (terminal.env.NO_COLOR ?? '') === '';
}

const CODES = { red: 31, green: 32, yellow: 33, grey: 90, bold: 1 } as const;
export type Colour = keyof typeof CODES;

export function paint(terminal: Terminal, colour: Colour, text: string): string {
  return coloured(terminal) ? `\u001B[${CODES[colour]}m${text}\u001B[0m` : text;
}
