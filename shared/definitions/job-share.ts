/**
 * `share` of a batch job: how much of what the device gives to batch jobs (`batch:` of agent.yaml)
 * its running tasks take together, at most. It holds what tasks state as their `cost`; where a task
 * has a process of its own (sql, command, archive, SQLite) that is at least the bound of it, so
 * there it is what is used.
 */
import { z } from 'zod';
import type { DefinitionIssue } from '../errors.ts';
import type { Amount, JobShare, TaskDefinition } from './batch-job.ts';
import { percentage } from './percentage.ts';
import { size } from './size.ts';
import { issueAt, strict, withHint } from './strict.ts';

const MIB = 1024 * 1024;

const part = percentage.transform((share): Amount => ({ part: share }));
const whole = (amount: number): Amount => ({ amount });
const CPU_HINT = 'is neither a number of cores nor a percentage';
const MEMORY_HINT = 'is neither a size nor a percentage';

export const shareField = strict({
  cpu: z
    .union([z.number().positive().max(64).transform(whole), part], {
      error: withHint(CPU_HINT, 'for example 0.5 or 50%'),
    })
    .optional()
    .describe("Cores, or of the device's for batch jobs. Example: `50%`."),
  memory: z
    .union([size.transform(whole), part], {
      error: withHint(MEMORY_HINT, 'for example 64MiB or 25%'),
    })
    .optional()
    .describe("Memory, or of the device's for batch jobs. Example: `64MiB`."),
})
  .superRefine((given, context) => {
    if (given.cpu !== undefined || given.memory !== undefined) return;
    context.addIssue({ code: 'custom', message: withHint('bounds nothing', 'set cpu or memory') });
  })
  .transform(({ cpu, memory }): JobShare => ({ cpu: cpu ?? null, memory: memory ?? null }));

/** A task that is above its job's share alone would never start: told where it can be. */
export function checkShare(
  share: JobShare | null,
  tasks: readonly TaskDefinition[],
  issues: DefinitionIssue[],
): void {
  const cpu = share?.cpu == null ? Infinity : amountOf(share.cpu, Infinity);
  const memory = share?.memory == null ? Infinity : amountOf(share.memory, Infinity);
  const hint = 'raise the share of the job, or lower what the task takes';
  const above = 'takes more alone than the share of its job';
  for (const { cost, path } of tasks) {
    if (cost.cpu > cpu) issues.push(issueAt([...path, 'cost', 'cpu'], above, hint));
    if (cost.memoryBytes > memory) issues.push(issueAt([...path, 'cost', 'memory'], above, hint));
  }
}

/** `of`: what the device gives to all. */
export function amountOf(amount: Amount, of: number): number {
  if ('amount' in amount) return amount.amount;
  return amount.part === 0 ? 0 : amount.part * of;
}

/** `50 % of the cores, 64 MiB of memory` */
export function shareText({ cpu, memory }: JobShare): string {
  const percent = (part: number): string => `${Math.round(part * 1000) / 10} %`;
  const cores = (amount: number): string => `${amount} ${amount === 1 ? 'core' : 'cores'}`;
  const taken = [
    ...(cpu === null
      ? []
      : ['part' in cpu ? `${percent(cpu.part)} of the cores` : cores(cpu.amount)]),
    ...(memory === null
      ? []
      : [
          'part' in memory
            ? `${percent(memory.part)} of the memory`
            : `${Math.round(memory.amount / MIB)} MiB of memory`,
        ]),
  ];
  return taken.join(', ');
}
