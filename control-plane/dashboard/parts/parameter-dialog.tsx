/** Sets or unsets one parameter in one layer; what the control plane refuses is at its field. */
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type {
  LayerValue,
  ParameterDeclaration,
  ParameterLayerItem,
} from '../../http/parameter-messages.ts';
import { formatCell } from '../format/amount.ts';
import { useApp, useObservable } from '../hooks.ts';
import {
  LAYER_KINDS,
  type LayerKind,
  layerOf,
  refusedEdit,
  scopeOf,
  textOfValue,
  writtenAs,
} from '../jobs/parameter-edit.ts';
import { originWords } from '../jobs/parameter-words.ts';
import { readParameters } from '../runs/parameter-input.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { FormDialog } from './form-dialog.tsx';
import { ParameterField } from './run-fields.tsx';
import { type FieldProblems, TextField, useProblems } from './text-field.tsx';

export interface EditedParameter {
  readonly parameter: ParameterDeclaration;
  /** Null: a layer is chosen in the dialog. */
  readonly layer: ParameterLayerItem | null;
  /** What the layer sets now. */
  readonly value: LayerValue | null;
  readonly unset: boolean;
}

interface EditProps {
  readonly job: string;
  readonly edited: EditedParameter;
  readonly onDone: () => void;
  readonly onClose: () => void;
}

export function ParameterDialog({ job, edited, onDone, onClose }: EditProps): JSX.Element {
  const { parameter, layer, value } = edited;
  const app = useApp();
  const written = useMemo(() => writtenAs(parameter), [parameter]);
  const [{ kind, of }, setLayer] = useState(() => layerOf(layer?.scope ?? 'fleet'));
  const [text, setText] = useState(value === null ? '' : textOfValue(written, value.value));
  const { problems, send } = useProblems();
  const { name } = parameter;
  const save = async (close: () => void): Promise<void> => {
    const read = readParameters([written], { [name]: text });
    const typed = read.problems[name];
    const missing = !(name in read.values) ? { value: 'needs a value; Unset takes one away' } : {};
    const own: FieldProblems = {
      ...(typed === undefined ? missing : { value: typed }),
      ...(kind !== 'fleet' && of.trim() === '' ? { scope: 'says for which devices' } : {}),
    };
    const asked = { scope: scopeOf(kind, of), set: read.values };
    if (!(await send(own, () => app.api.changeParameters(job, asked), refusedEdit))) return;
    onDone();
    close();
  };
  return (
    <FormDialog
      title={`Set ${name}`}
      submit="Set"
      busyWord="Setting…"
      ready
      onSubmit={save}
      onClose={onClose}
    >
      {layer === null ? (
        <LayerChoice {...{ kind, of }} problem={problems['scope']} onLayer={setLayer} />
      ) : (
        <p class="dialog-text">
          For <strong>{originWords(layer.scope, layer.agentName)}</strong>
        </p>
      )}
      <ParameterField
        parameter={written}
        text={text}
        problem={problems['value']}
        onText={setText}
      />
      <p class="help">It is in effect at once on the devices that run this job.</p>
    </FormDialog>
  );
}

const KIND_WORDS: Readonly<Record<LayerKind, string>> = {
  fleet: 'The whole fleet',
  label: 'Devices with labels',
  site: 'One site',
  agent: 'One device',
};

const OF_WORDS: Readonly<Record<Exclude<LayerKind, 'fleet'>, readonly [string, string]>> = {
  label: ['Selector', 'role=press, site in (lyon, turin)'],
  site: ['Site', 'lyon'],
  agent: ['Device', 'press-7'],
};

const PROPOSED_MAX = 200;

function LayerChoice({
  kind,
  of,
  problem,
  onLayer,
}: {
  kind: LayerKind;
  of: string;
  problem: string | undefined;
  onLayer: (layer: { readonly kind: LayerKind; readonly of: string }) => void;
}): JSX.Element {
  const proposed = useProposed(kind);
  return (
    <>
      <label class="field">
        <span>For</span>
        <select
          value={kind}
          onChange={(event) => onLayer({ kind: event.currentTarget.value as LayerKind, of: '' })}
        >
          {LAYER_KINDS.map((each) => (
            <option key={each} value={each}>
              {KIND_WORDS[each]}
            </option>
          ))}
        </select>
      </label>
      {kind === 'fleet' ? null : (
        <TextField
          id="parameter-layer"
          label={OF_WORDS[kind][0]}
          placeholder={OF_WORDS[kind][1]}
          list="parameter-layers"
          value={of}
          problem={problem}
          onText={(text) => onLayer({ kind, of: text })}
        />
      )}
      <datalist id="parameter-layers">
        {proposed.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
    </>
  );
}

/** Sites or devices of the fleet, to choose from. */
function useProposed(kind: LayerKind): readonly string[] {
  const { agents } = useObservable(useApp().fleet);
  return useMemo(() => {
    if (kind !== 'site' && kind !== 'agent') return [];
    const names = [...agents.values()].flatMap(({ name, labels }) =>
      kind === 'agent' ? name : (labels['site'] ?? []),
    );
    return [...new Set(names)].toSorted().slice(0, PROPOSED_MAX);
  }, [agents, kind]);
}

export function UnsetDialog({ job, edited, onDone, onClose }: EditProps): JSX.Element {
  const { parameter, layer, value } = edited;
  const app = useApp();
  const { name } = parameter;
  const where = layer === null ? '' : originWords(layer.scope, layer.agentName);
  return (
    <ConfirmDialog
      title={`Unset ${name} for ${where}?`}
      confirm="Unset"
      kind="danger"
      onConfirm={async () => {
        if (layer !== null)
          await app.api.changeParameters(job, { scope: layer.scope, unset: [name] });
        onDone();
      }}
      onClose={onClose}
    >
      <code>{formatCell(value?.value)}</code> no longer holds there: each of its devices falls back
      to the next weaker layer that sets {name}, in the end to the job’s own default
      {'default' in parameter ? null : ', of which there is none'}.
    </ConfirmDialog>
  );
}
