/**
 * Opens what runs the jobs, with the real sources and sinks behind the device's policy: a source
 * or sink of a job that was let through earlier is judged again when it is made, since policy.yaml
 * may have become stricter meanwhile.
 */
import { availableParallelism } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { AgentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { checkPolicy, type PolicySubject } from '@runnel/shared/policy/check-policy.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { BatchSettings } from './batch/batch-engine.ts';
import type { BrokerSwitch, JobRuntime } from './compose-agent.ts';
import type { AgentConfig } from './config/agent-config.ts';
import { batchBudget } from './config/batch-budget.ts';
import { pathRules } from './config/real-path.ts';
import { taskPolicy } from './config/task-policy.ts';
import type { Conditions } from './resources/conditions.ts';
import { isClockSynchronised } from './resources/clock-sync.ts';
import { surroundingsReader } from './resources/surroundings.ts';
import { isLocalSink, SinkRegistry } from './sinks/registry.ts';
import type { Sink } from './sinks/sink.ts';
import { EmbeddedBroker } from './sources/embedded-broker.ts';
import { createSource, type DefaultBroker, type SourceDeps } from './sources/registry.ts';
import type { Source } from './sources/source.ts';
import { AgentRuntime, type AgentRuntimeOptions } from './streams/agent-runtime.ts';
import type { Connector } from './streams/runnable-job.ts';

export interface RuntimeParts {
  readonly dataDir: string;
  readonly config: AgentConfig;
  readonly policy: AgentPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly verifyEntry: string;
  /** Environment of the agent: credentials by reference are read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly seams?: RuntimeSeams;
}

/** What a composition root other than main.ts may put between the runtime and its store. */
export type RuntimeSeams = Pick<AgentRuntimeOptions, 'wrapStore' | 'acknowledge'> & {
  readonly batch?: Pick<BatchSettings, 'childEntry' | 'runners'>;
};

export interface OpenedRuntime {
  readonly runtime: JobRuntime;
  /** The embedded broker, or null when agent.yaml names another. */
  readonly broker: BrokerSwitch | null;
}

/** Errors: `data_dir_locked`, and those of opening the store. */
export async function openRuntime(parts: RuntimeParts): Promise<OpenedRuntime> {
  const { config, policy, dataDir, clock, random, log, conditions, verifyEntry } = parts;
  const { agent } = config.identity;
  const embedded = embeddedBroker(parts);
  const defaultBroker: DefaultBroker =
    embedded === null
      ? { kind: 'external', endpoint: externalEndpoint(config) }
      : { kind: 'embedded', broker: embedded };
  const deps: SourceDeps = { agent, dataDir, clock, defaultBroker };
  const sinks = new SinkRegistry({ agent, clock, defaultBroker });
  const paths = pathRules(policy, dataDir);
  const judge = (subject: Partial<PolicySubject>): void => {
    const reasons = checkPolicy({ sources: {}, sinks: [], ...subject }, policy, paths);
    if (reasons.length === 0) return;
    throw new RunnelError('policy_refused', reasons.join('; '), { retry: 'backoff' });
  };
  const runtime = await AgentRuntime.open({
    dataDir,
    clock,
    random,
    log,
    agent,
    conditions,
    verifyEntry,
    isClockSynchronised,
    ...parts.seams,
    budgets: {
      storeBytesMax: Math.min(config.store.budget, policy.budgets.disk ?? config.store.budget),
      journalBytesMax: config.store.journal,
      outboxBytesMax: config.store.outbox,
    },
    batch: {
      name: config.identity.name,
      labels: config.identity.labels,
      budget: batchBudget(config, policy, availableParallelism()),
      policy: taskPolicy(policy, dataDir, parts.env),
      broker: defaultBroker,
      surroundings: surroundingsReader({
        clock,
        power: config.power,
        metered: config.link.metered,
      }),
      ...parts.seams?.batch,
    },
    createSource({ id, definition }: Connector): Promise<Source> {
      judge({ sources: { [definition.alias]: definition } });
      return createSource(definition, id, deps);
    },
    createSink(definition: SinkDefinition): Promise<Sink> {
      judge({ sinks: [definition] });
      if (isLocalSink(definition)) return sinks.create(definition);
      throw new RunnelError('sink_unknown', `${definition.kind} is no sink of the device`);
    },
  });
  return { runtime, broker: embedded };
}

function externalEndpoint({ broker }: AgentConfig) {
  const { url, username, password, ca, cert, key } = broker;
  if (url === undefined) throw new RunnelError('invariant_broken', 'a broker without an address');
  return { url, username, password, ca, cert, key };
}

function embeddedBroker({ config, clock, log, conditions }: RuntimeParts): EmbeddedBroker | null {
  const { embedded } = config.broker;
  if (embedded === undefined) return null;
  const { host, port } = embedded.listen;
  const type = 'sources/broker';
  return new EmbeddedBroker({
    host,
    port,
    clock,
    log,
    onState(error) {
      if (error === null) {
        conditions.clear(type);
        return;
      }
      const message = `${error}; give another address as broker.embedded.listen in agent.yaml`;
      const reason = 'CannotListen';
      conditions.set({ type, axis: 'sources', severity: 'error', reason, message });
    },
  });
}
