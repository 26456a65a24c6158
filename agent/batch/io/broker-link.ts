/**
 * The broker that a task means: the one that it names, judged by policy, or the device's own.
 */
import { createHash } from 'node:crypto';
import type { CredentialRef } from '@runnel/shared/definitions/credential.ts';
import type { MqttEndpoint, ResolveSecret } from '../../sources/mqtt-endpoint.ts';
import { resolveSecret as systemSecret } from '../../sources/mqtt-endpoint.ts';
import { type DefaultBroker, endpointOf } from '../../sources/registry.ts';
import type { EmbeddedBroker } from '../../sources/embedded-broker.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';

export interface BrokerSettings {
  readonly url?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: CredentialRef | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export type BrokerLink =
  | { readonly kind: 'embedded'; readonly broker: EmbeddedBroker }
  | {
      readonly kind: 'external';
      readonly endpoint: MqttEndpoint;
      readonly resolveSecret: ResolveSecret;
    };

/** Throws `TaskError` (`policy`). What agent.yaml refers to is the device's own, not judged. */
export function brokerLink(settings: BrokerSettings, { services }: TaskContext): BrokerLink {
  const { policy } = services;
  if (settings.url === undefined) {
    const own = services.broker as DefaultBroker;
    if (own.kind === 'embedded') return own;
    return { ...own, resolveSecret: systemSecret };
  }
  policy.host(new URL(settings.url));
  const { ca, cert, key, ...rest } = settings;
  const [caPath, certPath, keyPath] = [ca, cert, key].map((path) =>
    path === undefined ? undefined : policy.path(path),
  );
  const endpoint = endpointOf(
    { ...rest, ca: caPath, cert: certPath, key: keyPath },
    services.broker as DefaultBroker,
  );
  return { kind: 'external', endpoint, resolveSecret: async (ref) => policy.secret(ref) };
}

/** The same for every attempt, so that the broker ends what an attempt before left behind. */
export function clientIdOf({ effectKey, scope }: TaskContext, what: string): string {
  const agent = createHash('sha256').update(scope.agent.id).digest('hex').slice(0, 8);
  return `runnel-${what}-${agent}-${effectKey.slice(0, 16)}`;
}

const WAIT_MS_MAX = 10_000;
const LOOK_MS = 50;

/**
 * A broker that a task has used stays up with the agent: what it retains would be gone with it, and
 * subscribers would be cut off between two runs.
 */
const TASKS = {};

/** Resolves when the embedded broker listens. Throws `TaskError` (`network`) when it cannot. */
export async function embeddedReady(
  broker: EmbeddedBroker,
  { clock, signal }: TaskContext,
): Promise<void> {
  broker.use(TASKS);
  const until = clock.monotonicMs() + WAIT_MS_MAX;
  while (broker.port === null) {
    if (clock.monotonicMs() > until) {
      throw new TaskError('network', 'broker_unavailable', 'the embedded broker does not listen');
    }
    await clock.sleep(LOOK_MS, signal);
  }
}
