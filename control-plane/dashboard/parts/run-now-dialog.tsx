/** Runs a job now: on which devices, for which partition, with which parameters. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import type { AgentAnswer } from '../api/runs-api.ts';
import { plural } from '../format/amount.ts';
import { useApp } from '../hooks.ts';
import { readBatchDocument } from '../runs/batch-document.ts';
import { type ParameterTexts, readParameters } from '../runs/parameter-input.ts';
import { FormDialog } from './form-dialog.tsx';
import { AgentAnswers, askable, DeviceChoice, ParameterFields } from './run-fields.tsx';

export function RunNowDialog({
  job,
  onClose,
}: {
  job: JobDetail;
  onClose: () => void;
}): JSX.Element {
  const app = useApp();
  const agents = askable(job.agents);
  const document = readBatchDocument(job.document);
  const only = agents.length === 1 ? agents.map(({ agent }) => agent) : [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set(only));
  const [partition, setPartition] = useState('');
  const [fullRefresh, setFullRefresh] = useState(false);
  const [texts, setTexts] = useState<ParameterTexts>({});
  const [answers, setAnswers] = useState<readonly AgentAnswer[] | null>(null);
  const { values, problems } = readParameters(document.parameters, texts);
  const start = async (): Promise<void> => {
    const asked = partition.trim();
    setAnswers(
      await app.api.runs.start({
        job: job.name,
        agents: [...chosen],
        partition: asked === '' ? null : asked,
        parameters: values,
        fullRefresh,
      }),
    );
  };
  return (
    <FormDialog
      title={`Run ${job.name} now`}
      submit={answers === null ? `Run on ${plural(chosen.size, 'device')}` : null}
      ready={chosen.size > 0 && Object.keys(problems).length === 0}
      onSubmit={start}
      onClose={onClose}
    >
      {answers === null ? (
        <>
          <DeviceChoice agents={agents} chosen={chosen} onChosen={setChosen} />
          <label class="field">
            Partition
            <input
              value={partition}
              placeholder={document.partition === null ? 'the present instant' : 'the newest whole'}
              onInput={(event) => setPartition(event.currentTarget.value)}
            />
            <span class="help">{partitionHelp(document.partition)}</span>
          </label>
          <ParameterFields
            declared={document.parameters}
            texts={texts}
            problems={problems}
            onTexts={setTexts}
          />
          <label class="check">
            <input
              type="checkbox"
              checked={fullRefresh}
              onChange={(event) => setFullRefresh(event.currentTarget.checked)}
            />
            Full refresh: ignore how far incremental tasks had come
          </label>
        </>
      ) : (
        <AgentAnswers answers={answers} />
      )}
    </FormDialog>
  );
}

function partitionHelp(partition: ReturnType<typeof readBatchDocument>['partition']): string {
  if (partition === null) return 'This job has no partitions: a run stands for its instant.';
  const { every, keys, timezone } = partition;
  if (keys.length > 0) {
    const example = every === null ? keys[0] : `${keys[0]}/2026-11-22`;
    return (
      `Keys ${keys.slice(0, 6).join(', ')}${keys.length > 6 ? ', …' : ''}. ` +
      `For example ${example}.`
    );
  }
  const example = EXAMPLES[every ?? '1d'] ?? '2026-11-22';
  return `Every ${every ?? '1d'}, ${timezone}. For example ${example}.`;
}

const EXAMPLES: Readonly<Record<string, string>> = {
  '1h': '2026-11-22T13',
  '1w': '2026-W47',
  '1mo': '2026-11',
};
