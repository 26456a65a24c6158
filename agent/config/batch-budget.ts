/** The stricter of what agent.yaml asks for and policy.yaml grants to the tasks of batch jobs. */
import type { BatchBudget } from '../batch/batch-budget.ts';
import type { AgentConfig } from './agent-config.ts';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';

export function batchBudget(
  { batch }: AgentConfig,
  { budgets }: AgentPolicy,
  cores: number,
): BatchBudget {
  return {
    tasksMax: Math.min(batch.tasksMax, budgets.tasks ?? batch.tasksMax),
    memoryBytes: Math.min(batch.memory, budgets.taskMemory ?? batch.memory),
    cpu: Math.min(batch.cpu ?? cores, budgets.taskCpu ?? Infinity),
    pools: batch.pools,
    filesBytes: batch.files,
  };
}
