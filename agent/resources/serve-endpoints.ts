/** What a running agent answers on this device: `status`, and metrics when asked for. */
import type { Logger } from 'pino';
import type { RunningAgent } from '../compose-agent.ts';
import type { HostPort } from '../config/address.ts';
import { agentVersion } from '../config/agent-version.ts';
import { isOnline } from '../sync/sync-state.ts';
import { statusSocketPath } from './local-socket.ts';
import { serveStatus } from './status-server.ts';

export interface EndpointsOptions {
  readonly dataDir: string;
  readonly agent: RunningAgent;
  readonly log: Logger;
  readonly metrics: HostPort | undefined;
}

export interface Endpoints {
  /** The port of the metrics, or null. */
  readonly metricsPort: number | null;
  close(): Promise<void>;
}

/** Errors: `metrics_listen`. */
export async function serveEndpoints(options: EndpointsOptions): Promise<Endpoints> {
  const { agent, dataDir, log, metrics } = options;
  const status = await serveStatus(statusSocketPath(dataDir), () => agent.status(), log);
  if (metrics === undefined) return { metricsPort: null, close: () => status.close() };
  // Most devices have no metrics asked for and do not load what makes them.
  const [{ serveMetrics }, { metricsText }] = await Promise.all([
    import('./metrics-server.ts'),
    import('./metrics-text.ts'),
  ]);
  try {
    const server = await serveMetrics(metrics, async () =>
      metricsText({
        state: await agent.state(),
        version: agentVersion,
        startedAt: agent.startedAt,
        connected: isOnline(agent.sync.state),
      }),
    );
    log.info({ address: `http://${metrics.host}:${server.port}/metrics` }, 'metrics are served');
    return {
      metricsPort: server.port,
      close: async () => {
        await Promise.all([status.close(), server.close()]);
      },
    };
  } catch (error) {
    await status.close();
    throw error;
  }
}
