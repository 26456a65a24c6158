/** The sources of running stream jobs, as batch jobs find them in the journal. */
import type { DeclaredSource } from '../batch/tables/journal-sources.ts';
import type { JobHost } from './job-host.ts';

export function declaredSources(hosts: Iterable<JobHost>): DeclaredSource[] {
  return [...hosts].flatMap(({ record, runnable }) =>
    runnable.sources.map(({ connector }) => ({
      job: record.name,
      connector: connector.id,
      definition: connector.definition,
      parameters: record.current.parameters,
    })),
  );
}
