/**
 * Whether a job stays within the device's policy (I8). All reasons are given at once, so that a
 * person mends the job or the policy in one go; a job with any is not run. The device judges by
 * this, and the control plane by the same code over what the device reported. Pure.
 */
import type { TaskDefinition } from '../definitions/batch-job.ts';
import type { CredentialRef } from '../definitions/credential.ts';
import type { StreamJob } from '../definitions/stream-job.ts';
import type { AgentPolicy } from './agent-policy.ts';
import { refuseCommand, refuseVariable } from './command-policy.ts';
import { matchesHost } from './host-pattern.ts';
import { type PathRules, refusePath } from './path-policy.ts';
import { checkTask } from './task-touches.ts';

/** What of a policy decides about jobs, whatever else it bounds. */
export interface PolicyRules extends Omit<AgentPolicy, 'apiVersion' | 'kind' | 'budgets'> {
  readonly budgets: Pick<AgentPolicy['budgets'], 'taskMemory'>;
}

/** What policy looks at in a job. */
export interface PolicySubject extends Pick<StreamJob, 'sources' | 'sinks'> {
  readonly tasks?: readonly TaskDefinition[];
}

/** Reasons why the job is refused; empty when it may run. */
export function checkPolicy(
  job: PolicySubject,
  policy: PolicyRules,
  paths: PathRules,
): readonly string[] {
  const check = new PolicyCheck(policy, paths);
  for (const [alias, source] of Object.entries(job.sources)) {
    const where = `sources.${alias}`;
    check.kind(where, 'source', source.kind, policy.sources);
    if (source.kind === 'mqtt') check.broker(where, source.config);
    if (source.kind === 'file') check.path(where, source.config.path);
  }
  for (const [index, sink] of job.sinks.entries()) {
    const where = `sinks[${index}]`;
    check.kind(where, 'sink', sink.kind, policy.sinks);
    if (sink.kind === 'mqtt') check.broker(where, sink.config);
    if (sink.kind === 'file') check.path(where, sink.config.path);
  }
  for (const task of job.tasks ?? []) {
    const where = `tasks.${task.id}`;
    if (task.kind !== 'none') check.kind(where, 'task', task.kind, policy.tasks);
    checkTask(check, `${where}.${task.kind}`, task);
    check.memory(`${where}.cost.memory`, task.cost.memoryBytes);
  }
  return check.reasons;
}

interface BrokerSettings {
  readonly url?: string | undefined;
  readonly password?: CredentialRef | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Gathers every reason of one judgement; `where` is the place in the document. */
export class PolicyCheck {
  readonly reasons: string[] = [];
  readonly #policy: PolicyRules;
  readonly #paths: PathRules;

  constructor(policy: PolicyRules, paths: PathRules) {
    this.#policy = policy;
    this.#paths = paths;
  }

  kind(where: string, what: string, kind: string, allowed: readonly string[] | undefined): void {
    if (allowed === undefined || allowed.includes(kind)) return;
    this.reasons.push(`${where}: policy.yaml does not allow ${kind} as a ${what}`);
  }

  path(where: string, path: string): void {
    const reason = refusePath(path, this.#paths);
    if (reason !== undefined) this.reasons.push(`${where}: ${reason}`);
  }

  /** A job must not carry a secret of the device, a file or a variable, to a host of its own. */
  broker(where: string, { url, password, ca, cert, key }: BrokerSettings): void {
    if (url !== undefined) this.host(where, new URL(url).hostname);
    const secret = password !== undefined && 'file' in password ? password.file : undefined;
    for (const path of [secret, ca, cert, key]) if (path !== undefined) this.path(where, path);
    if (password !== undefined && 'env' in password) this.env(where, password.env);
  }

  env(where: string, name: string): void {
    const matches = (allowed: string): boolean =>
      allowed.endsWith('*') ? name.startsWith(allowed.slice(0, -1)) : name === allowed;
    if (this.#policy.env.some(matches)) return;
    this.reasons.push(
      `${where}: policy.yaml does not allow the environment variable ${name} as a credential ` +
        `(env: ${this.#policy.env.join(', ') || 'none'})`,
    );
  }

  /** `run` as in command-policy.ts. */
  command(where: string, run: readonly (string | undefined)[]): void {
    const reason = refuseCommand(run, this.#policy.commands);
    if (reason !== undefined) this.reasons.push(`${where}: ${reason}`);
  }

  /** A variable that the job sets for a program. */
  variable(where: string, name: string): void {
    const reason = refuseVariable(name, this.#policy.commandEnv);
    if (reason !== undefined) this.reasons.push(`${where}: ${reason}`);
  }

  memory(where: string, bytes: number): void {
    const { taskMemory } = this.#policy.budgets;
    if (taskMemory === undefined || bytes <= taskMemory) return;
    const told = `a task of ${bytes} bytes, budgets.taskMemory is ${taskMemory}`;
    this.reasons.push(`${where}: policy.yaml does not allow ${told}`);
  }

  host(where: string, hostname: string): void {
    const { hosts } = this.#policy;
    if (hosts === undefined || hosts.some((pattern) => matchesHost(hostname, pattern))) return;
    this.reasons.push(`${where}: policy.yaml does not allow connections to ${hostname}`);
  }
}
