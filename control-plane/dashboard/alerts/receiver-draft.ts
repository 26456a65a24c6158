/**
 * A receiver as a person edits it: texts by the fields of its kind, and back to what the API has.
 * The control plane checks all of it; here is told only what cannot be sent. Secrets are never
 * shown: what is set stays as it is unless something takes its place. Pure.
 */
import { NAME } from '@runnel/shared/ids.ts';
import type { ReceiverItem, ReceiverKind } from '../../http/alert-messages.ts';
import type { ReceiverInput } from '../api/alerts-api.ts';
import { ApiError } from '../api/api-client.ts';
import { fieldsOf as fieldsOfValue } from '../runs/batch-document.ts';

/** How a setting is written. */
type Form = 'text' | 'lines' | 'number' | 'list' | 'headers' | readonly string[];

export interface ReceiverField {
  readonly name: string;
  readonly label: string;
  readonly form: Form;
  readonly placeholder?: string;
  readonly help?: string;
}

interface KindFields {
  readonly word: string;
  readonly settings: readonly ReceiverField[];
  /** By name, with what each is. */
  readonly secrets: Readonly<Record<string, string>>;
}

const CA: ReceiverField = {
  name: 'ca',
  label: 'Certificate of a private CA (PEM)',
  form: 'lines',
  placeholder: '-----BEGIN CERTIFICATE-----',
};

const address = (placeholder: string, help?: string): ReceiverField => ({
  ...{ name: 'url', label: 'Address', form: 'text', placeholder },
  ...(help === undefined ? {} : { help }),
});

const SECRET_ADDRESS = 'Where the address itself is a secret, set it below instead.';

export const KINDS: Readonly<Record<ReceiverKind, KindFields>> = {
  webhook: {
    word: 'Webhook',
    settings: [
      address('https://example.org/hook', SECRET_ADDRESS),
      {
        ...{ name: 'headers', label: 'Headers', form: 'headers' },
        ...{ placeholder: 'X-Team: maintenance', help: 'One a line.' },
      },
      CA,
    ],
    secrets: {
      url: 'Secret address',
      authorization: 'Authorization header',
      secret: 'Key that signs the body',
    },
  },
  email: {
    word: 'Email',
    settings: [
      { name: 'host', label: 'Mail server', form: 'text', placeholder: 'smtp.example.org' },
      { name: 'port', label: 'Port', form: 'number', placeholder: '587' },
      { name: 'security', label: 'Encryption', form: ['starttls', 'tls', 'none'] },
      { name: 'username', label: 'User', form: 'text' },
      { name: 'from', label: 'From', form: 'text', placeholder: 'runnel@example.org' },
      {
        ...{ name: 'to', label: 'To', form: 'list', placeholder: 'on-call@example.org' },
        ...{ help: 'Several are parted by commas.' },
      },
      CA,
    ],
    secrets: { password: 'Password' },
  },
  slack: {
    word: 'Slack or compatible',
    settings: [
      address('https://chat.example.org/hooks/…', SECRET_ADDRESS),
      { name: 'channel', label: 'Channel', form: 'text', placeholder: '#on-call' },
      CA,
    ],
    secrets: { url: 'Secret address' },
  },
  alertmanager: {
    word: 'Alertmanager',
    settings: [address('https://alertmanager.example.org'), CA],
    secrets: { authorization: 'Authorization header' },
  },
};

export const TIMES: readonly ReceiverField[] = [
  { name: 'groupWait', label: 'Wait before the first message', form: 'text', placeholder: '15s' },
  { name: 'groupInterval', label: 'At least between two', form: 'text', placeholder: '1m' },
  { name: 'repeat', label: 'Say again after', form: 'text', placeholder: '4h' },
];

export const SEVERITIES = ['info', 'warning', 'error'] as const;

/** `keep`: as it is, or none where none is set. */
export const SECRET_MODES = ['keep', 'text', 'env', 'file', 'none'] as const;
export type SecretMode = (typeof SECRET_MODES)[number];

export interface SecretDraft {
  readonly mode: SecretMode;
  readonly text: string;
}

export interface ReceiverDraft {
  readonly name: string;
  readonly kind: ReceiverKind;
  readonly selector: string;
  readonly severity: ReceiverItem['severity'];
  readonly sendResolved: boolean;
  /** By the name of the setting; empty: not set. */
  readonly settings: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, SecretDraft>>;
}

const NEW: ReceiverDraft = {
  ...{ name: '', kind: 'webhook', selector: '', severity: 'warning', sendResolved: true },
  ...{ settings: {}, secrets: {} },
};

export function draftOf(item: ReceiverItem | null): ReceiverDraft {
  if (item === null) return NEW;
  const { name, kind, selector, severity, sendResolved } = item;
  const settings = fieldsOf(kind).map((field): [string, string] => [
    field.name,
    textOf(item.settings[field.name]),
  ]);
  return {
    ...NEW,
    name,
    kind,
    selector,
    severity,
    sendResolved,
    settings: Object.fromEntries(settings),
  };
}

export function fieldsOf(kind: ReceiverKind): readonly ReceiverField[] {
  return [...KINDS[kind].settings, ...TIMES];
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map(String).join(', ');
  const fields = fieldsOfValue(value);
  if (fields === null) return typeof value === 'string' ? value : JSON.stringify(value);
  return Object.entries(fields)
    .map(([key, text]) => `${key}: ${String(text)}`)
    .join('\n');
}

export interface ReadReceiver {
  readonly input: ReceiverInput;
  /** By the name of the field: `name`, `settings.port`, `secrets.url`. */
  readonly problems: Readonly<Record<string, string>>;
}

export function readDraft(draft: ReceiverDraft): ReadReceiver {
  const problems: Record<string, string> = {};
  if (!NAME.test(draft.name)) problems['name'] = 'Small letters, digits and hyphens, at most 63.';
  const settings: Record<string, unknown> = {};
  for (const { name, form } of fieldsOf(draft.kind)) {
    const text = (draft.settings[name] ?? '').trim();
    if (text === '') continue;
    const read = readSetting(form, text);
    if ('problem' in read) problems[`settings.${name}`] = read.problem;
    else settings[name] = read.value;
  }
  const secrets: Record<string, unknown> = {};
  for (const name of Object.keys(KINDS[draft.kind].secrets)) {
    const { mode, text } = draft.secrets[name] ?? { mode: 'keep', text: '' };
    if (mode === 'keep') continue;
    if (mode !== 'none' && text.trim() === '') problems[`secrets.${name}`] = 'is empty';
    secrets[name] = secretOf(mode, text);
  }
  const { kind, selector, severity, sendResolved } = draft;
  return {
    input: { kind, selector: selector.trim(), severity, sendResolved, settings, secrets },
    problems,
  };
}

type Read = { readonly value: unknown } | { readonly problem: string };

function readSetting(form: Form, text: string): Read {
  switch (form) {
    case 'number': {
      const value = Number(text);
      return Number.isFinite(value) ? { value } : { problem: 'is no number' };
    }
    case 'list':
      return { value: text.split(/[,\s]+/).filter(Boolean) };
    case 'headers':
      return readHeaders(text);
    case 'text':
    case 'lines':
    default:
      return { value: text };
  }
}

function readHeaders(text: string): Read {
  const value: Record<string, string> = {};
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const [, name, rest] = /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || rest === undefined) {
      return { problem: `“${line.slice(0, 60)}” is no header: write Name: value` };
    }
    value[name] = rest;
  }
  return { value };
}

function secretOf(mode: Exclude<SecretMode, 'keep'>, text: string): unknown {
  switch (mode) {
    case 'text':
      return text;
    case 'env':
      return { env: text.trim() };
    case 'file':
      return { file: text.trim() };
    case 'none':
      return null;
  }
}

/**
 * What the control plane said of a receiver, at the fields that it is about; null when it is about
 * none of them.
 */
export function refusedFields(
  error: unknown,
  { kind }: ReceiverDraft,
): Readonly<Record<string, string>> | null {
  if (!(error instanceof ApiError)) return null;
  if (error.code === 'selector_invalid') return { selector: error.message };
  const known = [
    'name',
    ...fieldsOf(kind).map(({ name }) => `settings.${name}`),
    ...Object.keys(KINDS[kind].secrets).map((name) => `secrets.${name}`),
  ];
  const problems: Record<string, string> = {};
  for (const { path, message } of error.issues) {
    // `settings.to[1]` is about the field `to`.
    const field = known.find(
      (name) => path === name || path.startsWith(`${name}[`) || path.startsWith(`${name}.`),
    );
    if (field === undefined) return null;
    problems[field] ??= message;
  }
  return Object.keys(problems).length === 0 ? null : problems;
}
