/** The sources that the jobs of a device want, once each, and those that may not run ahead. */
import type { JobHost } from './job-host.ts';
import type { Connector } from './runnable-job.ts';

export interface WantedSources {
  readonly wanted: Map<string, Connector>;
  /** Of jobs that block rather than lose what the journal cannot keep. */
  readonly blocking: Set<string>;
}

export function wantedSources(
  hosts: Iterable<JobHost>,
  ofBatch: readonly Connector[],
): WantedSources {
  const wanted = new Map<string, Connector>();
  const blocking = new Set<string>();
  for (const { runnable } of hosts) {
    for (const { connector } of runnable.sources) {
      wanted.set(connector.id, connector);
      if (runnable.onLag === 'block') blocking.add(connector.id);
    }
  }
  for (const connector of ofBatch) wanted.set(connector.id, connector);
  return { wanted, blocking };
}
