/**
 * A program of the device, without a shell.
 */
import { z } from 'zod';
import { credential } from '../credential.ts';
import { size } from '../size.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';
import { memorySetting } from '../task-memory.ts';

const NAME_OF_VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const argument = z.union([z.string(), z.number(), z.boolean()]).transform(String);

export const commandTask = defineTask({
  kind: 'command',
  summary: 'Runs a program of the device, if policy.yaml there allows it.',
  guarantees: [
    'No shell: arguments reach the program as they are, whatever is in them.',
    'When the attempt ends (done, failed, timeout, cancel) nothing of its process group is left: ' +
      'SIGTERM, 2 s later SIGKILL. What an agent that was killed left behind is ended when it ' +
      'starts again.',
    'policy.yaml names the programs, where it says so their arguments, and the variables that ' +
      '`env` may set; those that decide which code runs (PATH, LD_*, BASH_ENV, NODE_OPTIONS, …) ' +
      'only by their whole name. An allowed program has the rights of the agent: `paths` and ' +
      '`hosts` of policy.yaml do not bind it.',
    'The program gets only PATH, LANG, TZ and what `env` says, not the environment of the agent.',
    'An attempt may run again after an agent was killed: the program must bear that, by the key ' +
      'in RUNNEL_EFFECT_KEY where it matters.',
  ],
  output:
    '`{ code, bytes, value }`: `value` is the text without its last line end, or with ' +
    '`output: json` the value; beyond 32 KiB it is null and `truncated` true. With ' +
    '`output: jsonl` `{ code, bytes, rowCount, columns, rows }`, and the rows are the table.',
  fields: {
    run: z
      .array(argument)
      .min(1)
      .max(256)
      .describe('Program by absolute path, and its arguments. Example: `[/usr/bin/df, -k, /]`.'),
    env: z
      .record(z.string().regex(NAME_OF_VARIABLE), z.union([argument, credential]))
      .default({})
      .describe(
        'Variables: a text, or a secret by reference; by default policy.yaml allows `RUNNEL_*`, ' +
          '`LANG`, `LC_*` and `TZ`. Example: `{ RUNNEL_LINE: "3" }`.',
      ),
    cwd: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'Working directory, judged like any path of a job. Default: an empty one that is removed ' +
          'afterwards.',
      ),
    stdin: z.string().optional().describe('What the program can read. Default: nothing.'),
    memory: size
      .prefault('64MiB')
      .describe(
        'Memory that the program and all that it starts hold for themselves; beyond it they are ' +
          'killed (class `resources`). Looked at each 250 ms, on Linux. Example: `256MiB`.',
      ),
    outputMax: size
      .prefault('1MiB')
      .describe('Bytes of stdout; beyond them the group is killed (class `resources`).'),
    codes: z
      .array(z.number().int().min(0).max(255))
      .min(1)
      .default([0])
      .describe('Exit codes that are a success; another is the class `process`.'),
    output: z
      .enum(['text', 'json', 'jsonl'])
      .default('text')
      .describe('What stdout is: a text, a JSON value, or JSON lines that become a table.'),
  },
  memory: ({ memory }) => memorySetting(memory, 64 * 1024 * 1024),
  problem: ({ run, outputMax }) => {
    if (run[0]?.startsWith('/') !== true) return ['run', 'must begin with an absolute path'];
    if (run.some((text) => text.includes('\0'))) return ['run', 'holds a NUL character'];
    return outputMax > 16 * 1024 * 1024 ? ['outputMax', 'must be at most 16MiB'] : undefined;
  },
  examples: [
    {
      title: 'Maintenance with a bound',
      yaml: [
        '- id: trim',
        '  timeout: 5m',
        '  command: { run: [/sbin/fstrim, -v, /], memory: 32MiB }',
      ].join('\n'),
    },
    {
      title: 'JSON lines of a tool as a table',
      yaml: '- { id: parts, command: { run: [/usr/bin/lsblk-json, --lines], output: jsonl } }',
    },
  ],
});

export type CommandTaskConfig = ConfigOf<typeof commandTask>;
