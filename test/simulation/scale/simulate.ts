/**
 * `npm run simulate -- --agents N`: a fleet of light agents against the real control plane, on
 * this machine. Starts everything itself, in a directory of its own, and ends it by its ids, also
 * on Ctrl-C.
 *
 * stdout holds only the answer: a table, or with `--json` exactly one line. Exit codes: 0 it held,
 * 1 it did not, 2 wrong arguments, 130 interrupted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommanderError } from 'commander';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { ControlProcess } from './control-process.ts';
import { Fleet } from './fleet.ts';
import { runWorker } from './light-worker.ts';
import { checkFileLimit, simulateCommand, type SimulateOptions } from './options.ts';
import { type Report, tableOf } from './report.ts';
import { Scenario } from './scenario.ts';

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function simulate(options: SimulateOptions): Promise<void> {
  checkFileLimit(options);
  const ending = new AbortController();
  const interrupt = (): void => {
    ending.abort(new RunnelError('interrupted', 'interrupted; everything is being ended'));
  };
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  const dataDir = mkdtempSync(join(tmpdir(), 'runnel-simulate-'));
  try {
    const report = await played(options, dataDir, ending.signal);
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : tableOf(report));
    if (!report.audit.ok || !report.converged) process.exitCode = 1;
  } finally {
    if (options.keep) say(`kept: ${dataDir}`);
    else rmSync(dataDir, { recursive: true, force: true });
  }
}

async function played(
  options: SimulateOptions,
  dataDir: string,
  signal: AbortSignal,
): Promise<Report> {
  const { agents, workers, profile: profileDir } = options;
  const control = await ControlProcess.start({ dataDir, profileDir, signal });
  const fleet = new Fleet(process.argv[1]!, workers, agents, signal);
  try {
    return await new Scenario({ options, control, fleet, say, signal }).run();
  } finally {
    await fleet.end();
    await control.end();
  }
}

async function main(): Promise<number> {
  try {
    await simulateCommand(simulate).exitOverride().parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    say(`simulate: ${messageOf(error)}`);
    if (error instanceof RunnelError && error.hint !== undefined) say(`  ${error.hint}`);
    else if (!(error instanceof RunnelError) && error instanceof Error) say(error.stack ?? '');
    return error instanceof RunnelError && error.code === 'interrupted' ? 130 : 1;
  }
}

if (process.argv[2] === 'worker') runWorker();
else process.exitCode = await main();
