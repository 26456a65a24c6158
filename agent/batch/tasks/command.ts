/** A program of the device; how it is bounded and ended is in ../io/run-command.ts. */
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandTaskConfig } from '@runnel/shared/definitions/tasks/command.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { isMissing } from '../../config/durable-file.ts';
import { parseBody } from '../io/parse-body.ts';
import { rowOf } from '../io/rows.ts';
import { type CommandResult, runCommand } from '../io/run-command.ts';
import { tableOutput } from '../tables/table-output.ts';
import { defineTaskRunner, type TaskContext, type TaskSuccess } from './task.ts';
import { TaskError } from './task-error.ts';
import type { Row } from './task-services.ts';

/** Of the agent's environment nothing else: it may hold secrets. */
const INHERITED = /^(PATH|LANG|LC_[A-Z]+|TZ)$/;

export const commandTask = defineTaskRunner<CommandTaskConfig>({
  kind: 'command',
  async run(config, context) {
    const [program = '', ...args] = config.run;
    context.services.policy.command(config.run, Object.keys(config.env));
    const result = await runCommand(
      {
        program,
        args,
        env: environment(config, context),
        cwd: await workingDirectory(config.cwd, context),
        stdin: config.stdin,
        memoryBytesMax: config.memory,
        outputBytesMax: config.outputMax,
      },
      context,
    );
    const { code, stdout, complaint } = result;
    context.log.info(`${program} ended with code ${code}, ${stdout.length} bytes`);
    if (!config.codes.includes(code)) {
      const said = complaint.trim();
      const told = `${program} ended with code ${code}${said === '' ? '' : `: ${said}`}`;
      throw new TaskError('process', 'command_code', told, { fields: { code } });
    }
    return successOf(result, config, context);
  },
});

async function successOf(
  { code, stdout }: CommandResult,
  { output, run }: CommandTaskConfig,
  context: TaskContext,
): Promise<TaskSuccess> {
  const facts = { code, bytes: stdout.length };
  const from = `the output of ${run[0]}`;
  if (output === 'jsonl') {
    const { tables } = context.services;
    const table = await tables.write(context, rowsOf(stdout, from));
    return { output: { ...facts, ...(await tableOutput(tables, table)) }, table };
  }
  const value: Json =
    output === 'json' ? parseBody(stdout, from) : stdout.toString('utf8').replace(/\r?\n$/, '');
  const isLong = Buffer.byteLength(JSON.stringify(value)) > limits.outputRowsBytesMax;
  return { output: isLong ? { ...facts, value: null, truncated: true } : { ...facts, value } };
}

function* rowsOf(stdout: Buffer, from: string): Generator<Row> {
  for (const [index, line] of stdout.toString('utf8').split('\n').entries()) {
    if (line.trim() !== '') yield rowOf(parseBody(Buffer.from(line), `${from}, line ${index + 1}`));
  }
}

function environment(config: CommandTaskConfig, context: TaskContext): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (entry): entry is [string, string] => INHERITED.test(entry[0]) && entry[1] !== undefined,
  );
  const given = Object.entries(config.env).map(([name, value]): [string, string] => [
    name,
    typeof value === 'string' ? value : context.services.policy.secret(value),
  ]);
  return Object.fromEntries([...kept, ...given]);
}

async function workingDirectory(cwd: string | undefined, context: TaskContext): Promise<string> {
  if (cwd === undefined) {
    const own = join(context.scratchDir, 'work');
    await mkdir(own, { recursive: true });
    return own;
  }
  const path = context.services.policy.path(cwd);
  const facts = await stat(path).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw new TaskError('policy', 'command_cwd', `cwd: ${messageOf(error)}`, { cause: error });
  });
  if (facts?.isDirectory() === true) return path;
  throw new TaskError('definition', 'command_cwd', `cwd: there is no directory ${path}`);
}
