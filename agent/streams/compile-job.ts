/** A desired job to what the hosts run: document checked, expressions and operators compiled. */
import { parseStreamJobDocument } from '@runnel/shared/definitions/parse-stream-job.ts';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { StreamJob } from '@runnel/shared/definitions/stream-job.ts';
import { compileStreamJob } from '@runnel/shared/engine/compile-stream-job.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { jobParameters } from './job-parameters.ts';
import type { RunnableJob, RunnableSink } from './runnable-job.ts';

/** Throws `DefinitionError`. */
export function compileJob(desired: DesiredJob): RunnableJob {
  const job = parseStreamJobDocument(desired.document);
  const program = compileStreamJob(job, jobParameters(job.parameters, desired.parameters));
  return {
    priority: job.priority,
    sources: Object.values(job.sources).map((definition) => ({
      alias: definition.alias,
      codec: definition.codec,
      connector: { id: `${definition.kind}-${definition.connectorFingerprint}`, definition },
    })),
    sinks: job.sinks.map((sink) => runnableSink(job, sink)),
    steps: program.steps.map(({ stepId, stateVersion, stateFingerprint }) => ({
      id: stepId,
      stateVersion,
      stateFingerprint,
    })),
    onLag: job.onLag,
    onIncompatibleState: job.onIncompatibleState,
    create: (state, collector) => program.create(state, collector),
  };
}

function runnableSink(job: StreamJob, sink: SinkDefinition): RunnableSink {
  // What an alert says must not wait for the pace of slow traffic, wherever it goes.
  const urgent = job.steps.find(({ id }) => id === sink.from)?.operator === 'alert';
  switch (sink.kind) {
    case 'results':
      return { to: 'results', dataset: sink.config.dataset, urgent };
    case 'alerts':
      return { to: 'alerts', urgent: true };
    case 'mqtt':
    case 'file':
      return { to: 'local', definition: sink, urgent };
  }
}
