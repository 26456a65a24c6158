/**
 * What a job may do when a person runs it on their own machine: any program with any variables, any
 * host and any variable of the environment; files below the data directory, the working directory,
 * the job's own and the temporary one, so that a job written for a device does not purge this
 * machine's files.
 * With a policy file that file alone decides, as on a device.
 */
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { TaskPolicy } from '../../batch/tasks/task-services.ts';
import {
  agentPolicy,
  type AgentPolicy,
  defaultPolicy,
} from '@runnel/shared/policy/agent-policy.ts';
import { readSettings } from '../../config/settings-file.ts';
import { taskPolicy } from '../../config/task-policy.ts';

export interface LocalPolicy {
  /** Undefined: nothing is refused before the tasks run. */
  readonly gate: AgentPolicy | undefined;
  readonly tasks: TaskPolicy;
}

export interface LocalPolicyOptions {
  readonly policyFile: string | undefined;
  readonly jobFile: string;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws `DefinitionError`; `usage` for a policy file that is not there. */
export async function localPolicy(options: LocalPolicyOptions): Promise<LocalPolicy> {
  const { policyFile, jobFile, dataDir, env } = options;
  if (policyFile !== undefined) {
    const gate = await readSettings(resolve(policyFile), agentPolicy);
    if (gate !== null) return { gate, tasks: taskPolicy(gate, dataDir, env) };
    throw new RunnelError('usage', `--policy ${policyFile}: there is no such file`);
  }
  const paths = [resolve('.'), resolve(dirname(jobFile)), tmpdir()];
  const own = taskPolicy({ ...defaultPolicy, paths, env: ['*'] }, dataDir, env);
  return { gate: undefined, tasks: { ...own, command: () => {}, host: () => {} } };
}
