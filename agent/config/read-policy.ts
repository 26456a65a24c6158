import {
  type AgentPolicy,
  agentPolicy,
  defaultPolicy,
} from '@runnel/shared/policy/agent-policy.ts';
import type { DataFiles } from './data-files.ts';
import { readSettings } from './settings-file.ts';

/** Errors: `definition_invalid`. A broken policy is never read as no policy. */
export async function readPolicy(files: DataFiles): Promise<AgentPolicy> {
  return (await readSettings(files.policyYaml, agentPolicy)) ?? defaultPolicy;
}
