/**
 * The agent's own files in its data directory (DESIGN.md §6.6). Nothing a job names may reach
 * them: shared/policy/path-policy.ts refuses their names whatever else is allowed.
 */
import { join } from 'node:path';

export interface DataFiles {
  readonly dataDir: string;
  /** Written by `enroll`, read and edited by people. */
  readonly agentYaml: string;
  /** Written by people only. */
  readonly policyYaml: string;
  /** Key, credentials and trust; readable by the agent's user alone. */
  readonly identityDir: string;
  readonly seed: string;
  readonly credentials: string;
  readonly trust: string;
  /** The signed document that was accepted last. */
  readonly desired: string;
  /** Rows, logs and scratch space of batch jobs (batch/tables/table-files.ts). */
  readonly batchDir: string;
}

export function dataFiles(dataDir: string): DataFiles {
  const identityDir = join(dataDir, 'identity');
  return {
    dataDir,
    agentYaml: join(dataDir, 'agent.yaml'),
    policyYaml: join(dataDir, 'policy.yaml'),
    identityDir,
    seed: join(identityDir, 'device.seed'),
    credentials: join(identityDir, 'credentials.json'),
    trust: join(identityDir, 'trust.json'),
    desired: join(identityDir, 'desired.json'),
    batchDir: join(dataDir, 'batch'),
  };
}
