/** The operators' command line: composition root. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@runnel/shared/clock.ts';
import { run } from './program.ts';
import type { Terminal } from './terminal.ts';

const interrupt = new AbortController();
let listening = false;

const terminal: Terminal = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  async readInput() {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString('utf8');
  },
  env: process.env,
  clock: systemClock,
  interactive: process.stdout.isTTY,
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  /** Only who asks for it takes Ctrl-C over; every other command simply ends. */
  get interrupted() {
    if (!listening) process.on('SIGINT', onInterrupt);
    listening = true;
    return interrupt.signal;
  },
  handOver: (program, args) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { stdio: 'inherit' });
      // It ends in its own way, and its exit code is ours. Ctrl-C reaches it from the terminal.
      const pass = (signal: NodeJS.Signals): void => {
        const isTold = signal === 'SIGINT' && process.stdin.isTTY;
        if (!isTold) child.kill(signal);
      };
      process.on('SIGINT', pass).on('SIGTERM', pass);
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        process.off('SIGINT', pass).off('SIGTERM', pass);
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
      });
    }),
};

function onInterrupt(): void {
  // The second time the person means it.
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort();
}

// `runnel results … | head` closes the pipe: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

/** The build is one folder below the package, as the launcher is. */
const home = dirname(fileURLToPath(import.meta.url));
const { version } = JSON.parse(readFileSync(`${home}/../package.json`, 'utf8')) as {
  version: string;
};
process.exitCode = await run(terminal, process.argv.slice(2), { version, home });
