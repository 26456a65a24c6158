/**
 * Where log lines go: JSON lines to a file or pipe, one readable line each to a terminal. Written
 * at once: what was logged before a crash is what a person needs.
 */
import { writeSync } from 'node:fs';

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info ',
  40: 'WARN ',
  50: 'ERROR',
  60: 'FATAL',
};
const HIDDEN = new Set(['level', 'time', 'msg', 'agent', 'err']);

export interface LogTarget {
  readonly isTTY?: boolean;
  readonly fd: number;
}

export function logStream(target: LogTarget): { write(line: string): void } {
  const { fd } = target;
  const isTerminal = target.isTTY === true;
  return {
    write(line) {
      writeWhole(fd, isTerminal ? readableLine(line) : line);
    },
  };
}

/** A pipe that is full says EAGAIN; its reader is slow, and a log must not be lost for that. */
function writeWhole(fd: number, text: string): void {
  let rest = Buffer.from(text, 'utf8');
  for (let tries = 0; rest.byteLength > 0 && tries < 1000; tries++) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Nobody reads the log any more: that must not end the agent.
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
    }
  }
}

export function readableLine(line: string): string {
  const entry = JSON.parse(line) as Record<string, unknown> & {
    level: number;
    time: number;
    msg?: string;
  };
  const at = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' }).format(entry.time);
  const fields = Object.entries(entry)
    .filter(([key]) => !HIDDEN.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const stack = (entry.err as { stack?: string } | undefined)?.stack;
  const parts = [at, LEVELS[entry.level] ?? '', entry.msg ?? '', ...fields];
  return `${parts.join(' ')}\n${stack === undefined ? '' : `${stack}\n`}`;
}
