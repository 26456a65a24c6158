/**
 * The parameters of a job: what it declares, what each layer sets, and what holds on one device.
 * Operators set and unset values here.
 */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { JobDetail } from '../../http/live-messages.ts';
import type {
  AgentJobParameters,
  JobParameters as Parameters,
  ParameterDeclaration,
} from '../../http/parameter-messages.ts';
import { formatCell, plural } from '../format/amount.ts';
import { useApp, useLoaded, useMayOperate, useRefresh } from '../hooks.ts';
import { originWords, valuesOf } from '../jobs/parameter-words.ts';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { type EditedParameter, ParameterDialog, UnsetDialog } from './parameter-dialog.tsx';
import { Ago } from './relative-time.tsx';

export function JobParameters({ job }: { job: JobDetail }): JSX.Element {
  const app = useApp();
  const loaded = useLoaded(`parameters/${job.name}`, () => app.api.jobParameters(job.name));
  useRefresh(loaded);
  const mayOperate = useMayOperate();
  const [edited, setEdited] = useState<EditedParameter | null>(null);
  const [edits, setEdits] = useState(0);
  if (loaded.status === 'loading') return <Loading what="parameters" />;
  if (loaded.status === 'failed') return <ErrorNote error={loaded.error} retry={loaded.reload} />;
  const { declared } = loaded.value;
  if (declared.length === 0) {
    return (
      <Panel title="Parameters">
        <EmptyNote>This job declares none: it is the same on every device.</EmptyNote>
      </Panel>
    );
  }
  return (
    <div class="columns even">
      <div class="column-main">
        <Panel title="Parameters" note="the default, then each layer over the one before">
          <ul class="parameters">
            {declared.map((parameter) => (
              <Declared
                key={parameter.name}
                parameter={parameter}
                all={loaded.value}
                onEdit={mayOperate ? setEdited : null}
              />
            ))}
          </ul>
          <p class="fine">
            On the command line: <code>runnel params set {job.name} NAME=VALUE --fleet</code>, or
            for one <code>--label</code>, <code>--site</code> or <code>--agent</code>.
          </p>
        </Panel>
      </div>
      <div class="column-side">
        <OnDevice job={job} edits={edits} />
      </div>
      <Edit
        job={job.name}
        edited={edited}
        onDone={() => {
          setEdits(edits + 1);
          loaded.reload();
        }}
        onClose={() => setEdited(null)}
      />
    </div>
  );
}

function Edit({
  edited,
  ...rest
}: {
  job: string;
  edited: EditedParameter | null;
  onDone: () => void;
  onClose: () => void;
}): JSX.Element | null {
  if (edited === null) return null;
  return edited.unset ? (
    <UnsetDialog edited={edited} {...rest} />
  ) : (
    <ParameterDialog edited={edited} {...rest} />
  );
}

function Declared({
  parameter,
  all,
  onEdit,
}: {
  parameter: ParameterDeclaration;
  all: Parameters;
  /** Null for those who may not. */
  onEdit: ((edited: EditedParameter) => void) | null;
}): JSX.Element {
  const { name, type, description, min, max, values } = parameter;
  const bounds = [
    min === null ? '' : `from ${min}`,
    max === null ? '' : `to ${max}`,
    values === null ? '' : `one of ${values.map(formatCell).join(', ')}`,
  ].filter(Boolean);
  return (
    <li class="parameter" data-parameter={name}>
      <div class="parameter-head">
        <p>
          <strong class="mono">{name}</strong>{' '}
          <span class="quiet">{[type ?? 'by its schema', ...bounds].join(', ')}</span>
        </p>
        {onEdit === null ? null : (
          <button
            type="button"
            class="button small"
            aria-label={`Set ${name}`}
            onClick={() => onEdit({ parameter, layer: null, value: null, unset: false })}
          >
            Set…
          </button>
        )}
      </div>
      {description === null ? null : <p class="sub">{description}</p>}
      <dl class="layers">
        <div class="layer">
          <dt>default</dt>
          <dd>
            {'default' in parameter ? (
              <code>{formatCell(parameter.default)}</code>
            ) : (
              <span class="quiet">none: every device must be given one</span>
            )}
          </dd>
        </div>
        {valuesOf(all, name).map(({ layer, value }) => (
          <div class="layer" key={layer.scope}>
            <dt>{originWords(layer.scope, layer.agentName)}</dt>
            <dd>
              <code>{formatCell(value.value)}</code>{' '}
              <span class="quiet">
                on {plural(layer.agents, 'device')}, <Ago at={value.setAt} /> by {value.setBy}
              </span>
              {value.problem === null ? null : <span class="wrong sub">{value.problem}</span>}
              {onEdit === null ? null : (
                <LayerActions of={{ parameter, layer, value }} onEdit={onEdit} />
              )}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}

function LayerActions({
  of,
  onEdit,
}: {
  of: Omit<EditedParameter, 'unset'>;
  onEdit: (edited: EditedParameter) => void;
}): JSX.Element {
  const { parameter, layer } = of;
  const where = layer === null ? '' : originWords(layer.scope, layer.agentName);
  return (
    <span class="layer-actions">
      <button
        type="button"
        class="link"
        aria-label={`Change ${parameter.name} for ${where}`}
        onClick={() => onEdit({ ...of, unset: false })}
      >
        Change
      </button>
      <button
        type="button"
        class="link"
        aria-label={`Unset ${parameter.name} for ${where}`}
        onClick={() => onEdit({ ...of, unset: true })}
      >
        Unset
      </button>
    </span>
  );
}

function OnDevice({ job, edits }: { job: JobDetail; edits: number }): JSX.Element {
  const [chosen, setChosen] = useState<string | null>(null);
  const agent = chosen ?? job.agents[0]?.agent;
  if (agent === undefined) {
    return (
      <Panel title="On a device">
        <EmptyNote>No device runs this job.</EmptyNote>
      </Panel>
    );
  }
  return (
    <Panel
      title="On a device"
      actions={
        <label class="select">
          <span class="visually-hidden">Device</span>
          <select value={agent} onChange={(event) => setChosen(event.currentTarget.value)}>
            {job.agents.map((each) => (
              <option key={each.agent} value={each.agent}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
      }
    >
      <Effective key={agent} job={job.name} agent={agent} edits={edits} />
    </Panel>
  );
}

function Effective({
  job,
  agent,
  edits,
}: {
  job: string;
  agent: string;
  /** How many were made here: after each the values are read again. */
  edits: number;
}): JSX.Element {
  const app = useApp();
  const loaded = useLoaded(`parameters/${job}/${agent}`, () =>
    app.api.agentJobParameters(job, agent),
  );
  useRefresh(loaded);
  const reload = loaded.status === 'loading' ? null : loaded.reload;
  useEffect(() => {
    if (edits > 0) reload?.();
  }, [edits]);
  if (loaded.status === 'loading') return <Loading what="what holds there" />;
  if (loaded.status === 'failed') return <ErrorNote error={loaded.error} retry={loaded.reload} />;
  return <Values values={loaded.value} />;
}

function Values({ values }: { values: AgentJobParameters }): JSX.Element {
  return (
    <>
      {values.problems.map((problem) => (
        <p class="wrong" key={problem}>
          {problem}
        </p>
      ))}
      <dl class="layers">
        {Object.entries(values.parameters).map(([name, { value, origin, overridden }]) => (
          <div class="layer" key={name}>
            <dt class="mono">{name}</dt>
            <dd>
              <code>{formatCell(value)}</code>{' '}
              <span class="quiet">from {originWords(origin, values.agentName)}</span>
              {overridden.map((each) => (
                <span class="sub" key={each.origin}>
                  over <code>{formatCell(each.value)}</code> from{' '}
                  {originWords(each.origin, values.agentName)}
                  {each.tied ? ', as strong as it' : ''}
                </span>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}
