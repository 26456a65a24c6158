/**
 * Reads and writes `agent.yaml`. Writing replaces the identity and the servers only; everything
 * else in the file, comments included, stays as people left it.
 */
import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { RunnelError } from '@runnel/shared/errors.ts';
import { type AgentConfig, agentConfig, type Identity } from './agent-config.ts';
import type { DataFiles } from './data-files.ts';
import { isMissing, writeDurably } from './durable-file.ts';
import { readSettings } from './settings-file.ts';

export type { Identity } from './agent-config.ts';

export interface EnrolledWith {
  readonly identity: Identity;
  readonly controlPlane: string;
  readonly ca?: string | undefined;
}

/** Errors: `not_enrolled`, `definition_invalid`. */
export async function readAgentConfig(files: DataFiles): Promise<AgentConfig> {
  const config = await readSettings(files.agentYaml, agentConfig);
  if (config !== null) return config;
  throw new RunnelError('not_enrolled', `${files.dataDir} is not enrolled with a control plane`, {
    hint: `run: runnel-agent enroll --url URL --token TOKEN --data ${files.dataDir}`,
  });
}

/** Null when this directory is not enrolled. */
export async function readIdentity(files: DataFiles): Promise<EnrolledWith | null> {
  const config = await readSettings(files.agentYaml, agentConfig);
  if (config === null) return null;
  const { identity, servers } = config;
  return { identity, controlPlane: servers.controlPlane, ca: servers.ca };
}

export async function writeIdentity(files: DataFiles, enrolled: EnrolledWith): Promise<void> {
  const document = parseDocument((await readIfThere(files.agentYaml)) ?? TEMPLATE);
  document.setIn(['identity'], document.createNode(enrolled.identity));
  document.setIn(['servers', 'controlPlane'], enrolled.controlPlane);
  if (enrolled.ca !== undefined) document.setIn(['servers', 'ca'], enrolled.ca);
  await writeDurably(files.agentYaml, document.toString({ lineWidth: 100 }));
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

const TEMPLATE = `# Settings of this Runnel agent. "runnel-agent enroll" writes identity and
# servers; the rest is yours to edit, and takes effect when the agent starts again.
apiVersion: runnel/v1
kind: AgentConfig
identity: {}
servers: {}

# Where an mqtt source or sink without "url" connects to. The embedded broker runs inside the agent
# and starts when a job uses it; sensors publish straight to it.
broker:
  embedded: { listen: "127.0.0.1:1883" }
# broker:
#   url: mqtts://broker.local:8883
#   username: runnel
#   password: { file: /etc/runnel/mqtt-password }   # or { env: MQTT_PASSWORD }
#   ca: /etc/runnel/ca.pem

# Disk space for journal, state and outbox together, and shares of it.
store: { budget: 1GiB, journal: 256MiB, outbox: 128MiB }

# A metered link to the control plane: alerts go first, results wait.
# "metered" and "power" are for jobs that wait for a cheap window; absent: as the system tells.
# link: { bytesPerSecond: 64KiB, metered: true }
# power: battery

# What tasks of batch jobs may take together, and slots of the pools that they name.
# batch: { tasksMax: 4, memory: 256MiB, cpu: 1, pools: { database: 1 } }

# Prometheus metrics, on loopback unless you say otherwise.
# metrics: { listen: "127.0.0.1:9464" }

log: { level: info }
`;
