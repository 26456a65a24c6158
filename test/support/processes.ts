/**
 * Runs the built programs as processes, the way a user does, with their output kept in a file.
 * Every process is ended by its own id when the test finishes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const repository = join(import.meta.dirname, '../..');

export const bins = {
  control: join(repository, 'control-plane/bin/runnel-control.js'),
  runnel: join(repository, 'control-plane/bin/runnel.js'),
  agent: join(repository, 'agent/bin/runnel-agent.js'),
} as const;

export interface Started {
  readonly child: ChildProcess;
  readonly log: string;
  /** Sends the signal and resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  running(): boolean;
  /** What it has written so far, stdout and stderr together. */
  output(): string;
}

/** Starts `node script …args`, or a program when `script` does not end in `js`. */
export function start(
  script: string,
  args: readonly string[],
  log: string,
  env: Readonly<Record<string, string>> = {},
): Started {
  const out = openSync(log, 'a');
  const isNode = /\.m?js$/.test(script);
  const child = spawn(isNode ? process.execPath : script, isNode ? [script, ...args] : [...args], {
    stdio: ['ignore', out, out],
    env: { ...process.env, ...env },
  });
  const exited = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve());
    child.once('error', reject);
  });
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  return {
    child,
    log,
    running,
    output: () => readFileSync(log, 'utf8'),
    async end(signal) {
      if (running()) child.kill(signal);
      await exited;
    },
  };
}

/** Bundles a composition root of the tests; returns a script for `start`. */
export function bundleTool(file: string): string {
  const tool = JSON.stringify(join(repository, 'deploy/local/bundle-tool.mjs'));
  const code = `console.log(await (await import(${tool})).bundleTool(process.argv[1]))`;
  const args = ['--input-type=module', '-e', code, join(repository, file)];
  return execFileSync(process.execPath, args, { encoding: 'utf8' }).trim();
}

/** Runs a program of ours to its end; throws with its output when it fails. */
export function runBin(
  bin: keyof typeof bins,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): string {
  return execFileSync(process.execPath, [bins[bin], ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
