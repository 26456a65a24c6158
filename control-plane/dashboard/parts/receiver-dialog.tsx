/** Adds a receiver or changes one; what the control plane refuses is said at its field. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ReceiverItem, ReceiverKind } from '../../http/alert-messages.ts';
import {
  draftOf,
  KINDS,
  readDraft,
  type ReceiverDraft,
  type ReceiverField,
  refusedFields,
  SEVERITIES,
  TIMES,
} from '../alerts/receiver-draft.ts';
import { useApp } from '../hooks.ts';
import { FormDialog } from './form-dialog.tsx';
import { SecretField } from './secret-field.tsx';
import { type FieldProblems, TextField, useProblems } from './text-field.tsx';

type Change = (part: Partial<ReceiverDraft>) => void;

export function ReceiverDialog({
  item,
  onDone,
  onClose,
}: {
  /** Null: a new one. */
  item: ReceiverItem | null;
  onDone: () => void;
  onClose: () => void;
}): JSX.Element {
  const app = useApp();
  const [draft, setDraft] = useState(() => draftOf(item));
  const { problems, send } = useProblems();
  const change: Change = (part) => setDraft((before) => ({ ...before, ...part }));
  const save = async (close: () => void): Promise<void> => {
    const { problems: own, input } = readDraft(draft);
    const { alerts } = app.api;
    // A new one must not take the place of another that has its name.
    const put = (): Promise<unknown> =>
      item === null ? alerts.addReceiver(draft.name, input) : alerts.setReceiver(draft.name, input);
    if (!(await send(own, put, (refusal) => refusedFields(refusal, draft)))) return;
    onDone();
    close();
  };
  return (
    <FormDialog
      title={item === null ? 'Add a receiver' : `Change ${item.name}`}
      submit={item === null ? 'Add' : 'Save'}
      busyWord="Saving…"
      ready
      onSubmit={save}
      onClose={onClose}
    >
      {item === null ? (
        <TextField
          id="receiver-name"
          label="Name"
          placeholder="on-call"
          maxLength={63}
          value={draft.name}
          problem={problems['name']}
          onText={(name) => change({ name })}
        />
      ) : null}
      <Kind draft={draft} onChange={change} />
      <Which draft={draft} problems={problems} onChange={change} />
      <Settings fields={KINDS[draft.kind].settings} {...{ draft, problems }} onChange={change} />
      <Secrets item={item} draft={draft} problems={problems} onChange={change} />
      <details open={TIMES.some(({ name }) => problems[`settings.${name}`] !== undefined)}>
        <summary>How often it is told</summary>
        <div class="form">
          <Settings fields={TIMES} draft={draft} problems={problems} onChange={change} />
        </div>
      </details>
    </FormDialog>
  );
}

interface PartOf {
  readonly draft: ReceiverDraft;
  readonly problems: FieldProblems;
  readonly onChange: Change;
}

function Kind({ draft, onChange }: Omit<PartOf, 'problems'>): JSX.Element {
  return (
    <label class="field">
      <span>Kind</span>
      <select
        value={draft.kind}
        onChange={(event) =>
          onChange({ kind: event.currentTarget.value as ReceiverKind, secrets: {} })
        }
      >
        {Object.entries(KINDS).map(([kind, { word }]) => (
          <option key={kind} value={kind}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}

function Which({ draft, problems, onChange }: PartOf): JSX.Element {
  return (
    <>
      <TextField
        id="receiver-selector"
        label="Alerts that it gets: a selector over their labels"
        placeholder="site in (lyon, turin), source=device"
        help="Empty: every alert."
        value={draft.selector}
        problem={problems['selector']}
        onText={(selector) => onChange({ selector })}
      />
      <label class="field">
        <span>From severity</span>
        <select
          value={draft.severity}
          onChange={(event) =>
            onChange({ severity: event.currentTarget.value as ReceiverDraft['severity'] })
          }
        >
          {SEVERITIES.map((severity) => (
            <option key={severity}>{severity}</option>
          ))}
        </select>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={draft.sendResolved}
          onChange={(event) => onChange({ sendResolved: event.currentTarget.checked })}
        />
        Told too when an alert ends
      </label>
    </>
  );
}

function Settings({
  fields,
  draft,
  problems,
  onChange,
}: PartOf & { readonly fields: readonly ReceiverField[] }): JSX.Element {
  const set = (name: string, text: string): void =>
    onChange({ settings: { ...draft.settings, [name]: text } });
  return (
    <>
      {fields.map(({ name, label, form, placeholder, help }) =>
        Array.isArray(form) ? (
          <label class="field" key={name}>
            <span>{label}</span>
            <select
              value={draft.settings[name] ?? ''}
              onChange={(event) => set(name, event.currentTarget.value)}
            >
              <option value="">{`${form[0]} (the default)`}</option>
              {form.map((choice) => (
                <option key={choice}>{choice}</option>
              ))}
            </select>
          </label>
        ) : (
          <TextField
            key={name}
            id={`receiver-${name}`}
            label={label}
            lines={form === 'lines' || form === 'headers' ? 2 : 1}
            inputMode={form === 'number' ? 'numeric' : 'text'}
            placeholder={placeholder}
            help={help}
            value={draft.settings[name] ?? ''}
            problem={problems[`settings.${name}`]}
            onText={(text) => set(name, text)}
          />
        ),
      )}
    </>
  );
}

function Secrets({
  item,
  draft,
  problems,
  onChange,
}: PartOf & { readonly item: ReceiverItem | null }): JSX.Element {
  // Those of another kind go with it.
  const set = item?.kind === draft.kind ? item.secrets : {};
  return (
    <>
      {Object.entries(KINDS[draft.kind].secrets).map(([name, label]) => (
        <SecretField
          key={`${draft.kind}/${name}`}
          name={name}
          label={label}
          origin={set[name]}
          draft={draft.secrets[name] ?? { mode: 'keep', text: '' }}
          problem={problems[`secrets.${name}`]}
          onDraft={(secret) => onChange({ secrets: { ...draft.secrets, [name]: secret } })}
        />
      ))}
    </>
  );
}
