/** A terminal made of texts, for the commands of `runnel`. */
import { systemClock } from '@runnel/shared/clock.ts';
import { run } from '@runnel/control-plane/cli/program.ts';
import type { Terminal } from '@runnel/control-plane/cli/terminal.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What was handed over to another program. */
  readonly handedOver: readonly (readonly string[])[];
}

export interface RanOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly columns?: number;
  readonly interactive?: boolean;
  readonly interrupted?: AbortSignal;
  /** Told of everything written to standard output. */
  readonly onOut?: (text: string) => void;
  readonly home?: string;
}

export async function runnel(args: readonly string[], options: RanOptions = {}): Promise<Ran> {
  const text = { out: '', err: '' };
  const handedOver: (readonly string[])[] = [];
  const terminal: Terminal = {
    out(part) {
      text.out += part;
      options.onOut?.(part);
    },
    err(part) {
      text.err += part;
    },
    readInput: () => Promise.resolve(options.input ?? ''),
    env: options.env ?? {},
    clock: systemClock,
    interactive: options.interactive ?? false,
    columns: options.columns,
    interrupted: options.interrupted ?? new AbortController().signal,
    handOver(program, rest) {
      handedOver.push([program, ...rest]);
      return Promise.resolve(7);
    },
  };
  const code = await run(terminal, args, {
    version: '0.0.0',
    home: options.home ?? '/nowhere/bin',
  });
  return { code, ...text, handedOver };
}
