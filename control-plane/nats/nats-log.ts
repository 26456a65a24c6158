/** Lines of nats-server's own log, passed on at the level they have there. */
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import type { Logger } from 'pino';

const LINE = /^\[\d+\] \S+ \S+ \[(\w{3})\] (.*)$/;
const TEXT_CHARS_MAX = 2000;

type Level = 'debug' | 'info' | 'warn' | 'error';
const LEVELS: Readonly<Record<string, Level>> = {
  TRC: 'debug',
  DBG: 'debug',
  // The server is chatty at start; what a person needs to know is a warning or an error.
  INF: 'debug',
  WRN: 'warn',
  ERR: 'error',
  FTL: 'error',
};

/** `onLine` sees every line before it is logged: the last ones explain a failed start. */
export function passOnLog(stream: Readable, log: Logger, onLine: (text: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
    const found = LINE.exec(line);
    const text = (found?.[2] ?? line).slice(0, TEXT_CHARS_MAX);
    onLine(text);
    log[LEVELS[found?.[1] ?? ''] ?? 'info']({ from: 'nats-server' }, text);
  });
}
