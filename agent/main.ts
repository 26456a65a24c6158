/**
 * Composition root of a running agent: the only place that joins the real clock, LMDB, MQTT and
 * NATS. Tests compose their own from the same parts (compose-agent.ts).
 */
import { pino } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { Random } from '@runnel/shared/random.ts';
import { type RuntimeSeams, openRuntime } from './agent-parts.ts';
import { composeAgent, type RunningAgent } from './compose-agent.ts';
import type { HostPort } from './config/address.ts';
import { agentVersion } from './config/agent-version.ts';
import { readAgentConfig } from './config/agent-yaml.ts';
import { readPolicy } from './config/read-policy.ts';
import { agentCapabilities } from './config/capabilities.ts';
import { dataFiles } from './config/data-files.ts';
import { readDeviceIdentity } from './config/device-identity.ts';
import { optionalPackages } from './config/optional-packages.ts';
import type { LogLevel } from './config/log-level.ts';
import { Conditions } from './resources/conditions.ts';
import { logStream } from './resources/log-stream.ts';
import { serveEndpoints } from './resources/serve-endpoints.ts';
import { controlPlanePoster } from './sync/control-plane-poster.ts';

export interface RunOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly random: Random;
  /** The built verify-store.js. */
  readonly verifyEntry: string;
  /** Wins over agent.yaml. */
  readonly metricsListen?: HostPort;
  readonly logLevel?: LogLevel;
  /** For tests that plant a fault. */
  readonly seams?: RuntimeSeams;
}

/**
 * Runs until SIGTERM or SIGINT has ended it cleanly; a second signal ends the process at once.
 * Errors: `not_enrolled`, `data_dir_locked`, `definition_invalid`, `identity_damaged`,
 * `metrics_listen`, and those of opening the store.
 */
export async function runAgent(options: RunOptions): Promise<void> {
  const stopped = stopSignal();
  const { clock, dataDir, random } = options;
  const files = dataFiles(dataDir);
  const config = await readAgentConfig(files);
  const level = options.logLevel ?? config.log.level;
  const log = pino({ level, base: { agent: config.identity.agent } }, logStream(process.stderr));
  const [policy, identity] = await Promise.all([
    readPolicy(files),
    readDeviceIdentity(files, config.identity.rootFingerprint),
  ]);
  const conditions = new Conditions(clock);
  const shared = { dataDir, config, policy, clock, random, log, conditions };
  const { runtime, broker } = await openRuntime({
    ...shared,
    verifyEntry: options.verifyEntry,
    env: process.env,
    ...(options.seams !== undefined && { seams: options.seams }),
  });
  let agent: RunningAgent | null = null;
  try {
    agent = await composeAgent({
      ...shared,
      identity,
      runtime,
      broker,
      connect: async (link) => (await import('./sync/nats-link.ts')).connectLink(link),
      post: controlPlanePoster(config.servers),
      capabilities: agentCapabilities(optionalPackages),
    });
    const metrics = options.metricsListen ?? config.metrics?.listen;
    const endpoints = await serveEndpoints({ dataDir, agent, log, metrics });
    log.info({ version: agentVersion, dataDir }, 'agent started');
    await stopped;
    log.info('agent stops');
    await endpoints.close();
  } finally {
    await (agent ?? runtime).close();
  }
  log.info('agent stopped');
}

/** Resolves with the first signal; the second one means it. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
