/**
 * The device's policy as running tasks ask for it (I8): what only a rendered config tells is judged
 * here, at every attempt, whatever was judged when the job came.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { CredentialRef } from '@runnel/shared/definitions/credential.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { TaskError } from '../batch/tasks/task-error.ts';
import type { TaskPolicy } from '../batch/tasks/task-services.ts';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { PolicyCheck } from '@runnel/shared/policy/check-policy.ts';
import { pathRules } from './real-path.ts';

/** `env` is the environment of the agent: only credentials by reference read it. */
export function taskPolicy(
  policy: AgentPolicy,
  dataDir: string,
  env: Readonly<Record<string, string | undefined>>,
): TaskPolicy {
  const paths = pathRules(policy, dataDir);
  const judge = (where: string, ask: (check: PolicyCheck, where: string) => void): void => {
    const check = new PolicyCheck(policy, paths);
    ask(check, where);
    const [reason] = check.reasons;
    if (reason !== undefined) throw new TaskError('policy', 'policy_refused', reason);
  };
  return {
    path(path) {
      judge('path', (check, where) => check.path(where, path));
      return resolve(dataDir, path);
    },
    command(run, variables) {
      judge('command', (check, where) => {
        check.command(where, run);
        for (const name of variables) check.variable(where, name);
      });
    },
    host: (url) => judge('host', (check, where) => check.host(where, url.hostname)),
    env: (name) => judge('env', (check, where) => check.env(where, name)),
    secret(ref) {
      const secret = ref as CredentialRef;
      if ('file' in secret) {
        judge('credential', (check, where) => check.path(where, secret.file));
        return readSecret(resolve(dataDir, secret.file));
      }
      judge('credential', (check, where) => check.env(where, secret.env));
      const value = env[secret.env];
      if (value !== undefined) return value;
      throw missing(`environment variable ${secret.env} is not set`);
    },
  };
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw missing(`cannot read ${path}: ${messageOf(error)}`);
  }
}

function missing(message: string): TaskError {
  return new TaskError('other', 'secret_missing', message, {
    hint: 'Set it for the agent on the device.',
  });
}
