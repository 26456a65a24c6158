/**
 * `runnel-agent uninstall`: removes all that the installer put on this device. The data (identity,
 * state, results that wait) is asked about; where nobody can be asked it stays, and that is said.
 * Steps that fail do not spare the others; each is told, and the exit code says so.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, rm, rmdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import { isMissing } from '../config/durable-file.ts';
import { type ExitCode, exitCodes } from './exit-code.ts';
import { type InstallReceipt, readReceipt } from './install-receipt.ts';
import type { Terminal } from './terminal.ts';
import { type UninstallStep, uninstallPlan } from './uninstall-plan.ts';

export interface UninstallOptions {
  readonly yes: boolean;
  readonly keepData?: true;
  readonly purge?: true;
}

const execute = promisify(execFile);
const STOP_MS_MAX = 30_000;
const LOOK_MS = 100;

/** Errors: `not_installed`, `receipt_damaged`, `needs_root`. */
export async function uninstallCommand(
  terminal: Terminal,
  options: UninstallOptions,
): Promise<ExitCode> {
  const receipt = await readReceipt(terminal.env.RUNNEL_INSTALL);
  if (receipt.mode === 'system' && process.getuid?.() !== 0) {
    throw new RunnelError('needs_root', 'the agent was installed as root', {
      hint: 'run: sudo runnel-agent uninstall',
    });
  }
  const choice = await choose(receipt, options);
  if (choice === 'stop') {
    terminal.out('nothing was removed\n');
    return exitCodes.failed;
  }
  let failed = false;
  for (const step of uninstallPlan(receipt, choice === 'purge')) {
    try {
      await perform(step, terminal.clock);
    } catch (error) {
      failed = true;
      terminal.err(`${wordsOf(step)}: ${messageOf(error)}\n`);
    }
  }
  terminal.out(farewell(receipt, choice === 'purge'));
  return failed ? exitCodes.failed : exitCodes.ok;
}

type Choice = 'purge' | 'keep' | 'stop';

async function choose(
  { prefix, data }: InstallReceipt,
  { yes, keepData, purge }: UninstallOptions,
): Promise<Choice> {
  const asked: Choice | undefined = purge ? 'purge' : keepData ? 'keep' : undefined;
  if (yes || !process.stdin.isTTY || !process.stdout.isTTY) return asked ?? 'keep';
  const loss = 'identity, state and results not yet sent go for ever';
  const questions = [
    `Remove the agent in ${prefix}?`,
    ...(asked === undefined ? [`Delete its data in ${data} too? ${loss}`] : []),
  ];
  const answers = await answersTo(questions);
  if (answers[0] !== true) return 'stop';
  if (asked !== undefined) return asked;
  // A question that was not answered is no leave to remove anything.
  return answers[1] === undefined ? 'stop' : answers[1] ? 'purge' : 'keep';
}

/** Yes or no to each, until one is no answer at all (Ctrl-C, the end of the input). */
async function answersTo(questions: readonly string[]): Promise<boolean[]> {
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  // Kept from the first one on: who types ahead is heard.
  const lines = prompt[Symbol.asyncIterator]();
  const answers: boolean[] = [];
  let isClosed = false;
  prompt.once('close', () => (isClosed = true));
  try {
    for (const question of questions) {
      prompt.setPrompt(`${question} [y/N] `);
      // A prompt that was closed would hold its input open for ever.
      if (!isClosed) prompt.prompt();
      const { value, done } = await lines.next();
      if (done === true) {
        process.stdout.write('\n');
        break;
      }
      const isYes = /^y(es)?$/i.test(value.trim());
      answers.push(isYes);
      if (!isYes) break;
    }
    return answers;
  } finally {
    prompt.close();
  }
}

async function perform(step: UninstallStep, clock: Clock): Promise<void> {
  switch (step.kind) {
    case 'run':
      return await runStep(step);
    case 'stop-supervisor':
      return await stopSupervisor(step.pidFile, clock);
    case 'uncron':
      return await removeFromCrontab(step.line);
    case 'remove':
      return await rm(step.path, { recursive: true, force: true });
    case 'remove-empty':
      return await removeEmpty(step.path);
  }
}

async function runStep({ args, optional }: UninstallStep & { kind: 'run' }): Promise<void> {
  const [program = '', ...rest] = args;
  try {
    await execute(program, rest);
  } catch (error) {
    if (!optional) throw error;
  }
}

async function stopSupervisor(pidFile: string, clock: Clock): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = Number(await readFile(pidFile, 'utf8'));
  if (!isSupervisor(pid)) return;
  process.kill(pid, 'SIGTERM');
  const end = clock.monotonicMs() + STOP_MS_MAX;
  while (isSupervisor(pid)) {
    if (clock.monotonicMs() > end) throw new Error(`process ${pid} does not end`);
    await clock.sleep(LOOK_MS);
  }
}

/** The id may have been given to another program since. */
function isSupervisor(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('supervise.sh');
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

async function removeFromCrontab(line: string): Promise<void> {
  const { stdout } = await execute('crontab', ['-l']);
  const left = stdout.split('\n').filter((entry) => entry !== line && entry !== '');
  if (left.length === 0) {
    await execute('crontab', ['-r']);
    return;
  }
  const writing = execute('crontab', ['-']);
  writing.child.stdin?.end(`${left.join('\n')}\n`);
  await writing;
}

async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

function wordsOf(step: UninstallStep): string {
  switch (step.kind) {
    case 'run':
      return step.args.join(' ');
    case 'stop-supervisor':
      return 'stopping the supervisor';
    case 'uncron':
      return 'crontab';
    case 'remove':
    case 'remove-empty':
      return step.path;
  }
}

function farewell({ data, config, user, madeUser }: InstallReceipt, purge: boolean): string {
  const list = 'The control plane still lists this device: runnel agents revoke NAME\n';
  if (purge) return `removed, with its data\n${list}`;
  const owner = madeUser ? `, of the user ${user}` : '';
  const kept = `removed; kept: ${data}${owner}, and ${config}\n`;
  return `${kept}The installer finds them again; to delete them: rm -r ${data} ${config}\n${list}`;
}
