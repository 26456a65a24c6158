/**
 * `policy.yaml`: what the people at the device allow the control plane to run (DESIGN.md §6.6,
 * I8). It is written by hand, never by the agent, and wins over everything signed. An absent file
 * or key means: all sources, sinks and task types, all hosts, paths under the data directory only,
 * secrets only from environment variables whose names begin with `RUNNEL_SECRET_`, no commands.
 * What `agent.yaml` itself refers to is the device's own and is not judged.
 *
 * The device decides by it. It also reports it (protocol/policy-report.ts), so that the control
 * plane can say before a job is sent what a device would refuse.
 */
import { z } from 'zod';
import { size } from '../definitions/size.ts';
import { strict } from '../definitions/strict.ts';
import { commandEntry } from './command-policy.ts';

const names = z.array(z.string().min(1).max(100));
const variables = z.array(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*\*?$/, 'is no name, nor NAME_*'),
);
export const agentPolicy = strict({
  apiVersion: z.literal('runnel/v1'),
  kind: z.literal('AgentPolicy'),
  sources: names.optional().describe('Kinds of sources that jobs may use. Absent: all.'),
  sinks: names.optional().describe('Kinds of sinks that jobs may use. Absent: all.'),
  tasks: names.optional().describe('Task types that batch jobs may use. Absent: all.'),
  commands: z
    .array(commandEntry)
    .default([])
    .describe(
      'Programs that command tasks may run, by absolute path, with any arguments; or with ' +
        'arguments that fit: `{ run: [/bin/gzip, -9, "*.log"] }`. `*` is any text (leading: none ' +
        'that begins with `-`), a last `**` all further arguments. What runs has the rights of ' +
        'the agent: `paths` and `hosts` do not bind it, and a shell or interpreter here allows ' +
        'everything. Absent: none.',
    ),
  commandEnv: variables
    .default(['LANG', 'LC_*', 'TZ', 'RUNNEL_*'])
    .describe(
      'Variables that jobs may set for programs: names, or beginnings as `NAME_*`. Those of ' +
        'loaders, shells and interpreters (`PATH`, `LD_*`, `BASH_ENV`, `NODE_OPTIONS`, …) only ' +
        'by their whole name. Absent: `LANG`, `LC_*`, `TZ`, `RUNNEL_*`.',
    ),
  paths: z
    .array(z.string().min(1))
    .default([])
    .describe('Directories that jobs may read and write beside the data directory.'),
  hosts: z
    .array(z.string().min(1))
    .optional()
    .describe('Hosts that jobs may connect to: names, *.names or addresses. Absent: all.'),
  env: variables
    .default(['RUNNEL_SECRET_*'])
    .describe(
      'Environment variables that jobs may use as credentials: names, or beginnings as `NAME_*`. ' +
        'Absent: `RUNNEL_SECRET_*`.',
    ),
  budgets: z
    .strictObject({
      memory: size.optional().describe('Above it the condition resources says so.'),
      disk: size.optional().describe('Upper bound of store.budget in agent.yaml.'),
      bytesPerSecond: size.optional().describe('Upper bound of link.bytesPerSecond.'),
      tasks: z.number().int().min(1).optional().describe('Upper bound of batch.tasksMax.'),
      taskMemory: size.optional().describe('Upper bound of batch.memory in agent.yaml.'),
      taskCpu: z.number().positive().optional().describe('Upper bound of batch.cpu, in cores.'),
    })
    .prefault({}),
});
export type AgentPolicy = z.infer<typeof agentPolicy>;

/** What holds when there is no policy.yaml. */
export const defaultPolicy: AgentPolicy = agentPolicy.parse({
  apiVersion: 'runnel/v1',
  kind: 'AgentPolicy',
});
