/** An agent that runs a command and is killed over it. Arguments: data directory, script. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@runnel/shared/clock.ts';
import { runCommand } from '@runnel/agent/batch/io/run-command.ts';
import type { TaskContext } from '@runnel/agent/batch/tasks/task.ts';

const [dataDir = '', script = ''] = process.argv.slice(2);
const scratchDir = join(dataDir, 'batch', 'scratch', 'attempt-1');
mkdirSync(scratchDir, { recursive: true });
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const context = {
  effectKey: 'a'.repeat(64),
  tries: 1,
  attempt: 1,
  scratchDir,
  signal: new AbortController().signal,
  clock: systemClock,
  log,
};

await runCommand(
  {
    program: '/bin/sh',
    args: ['-c', script],
    env: { PATH: process.env.PATH ?? '' },
    cwd: dataDir,
    stdin: undefined,
    memoryBytesMax: 64 * 1024 * 1024,
    outputBytesMax: 1024,
  },
  context as unknown as TaskContext,
);
