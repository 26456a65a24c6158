/** `runnel receivers list|set|delete|test`: who is told of alerts. */
import type { NotificationItem, ReceiverItem } from '../../http/alert-messages.ts';
import { CliError, usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { ago, table } from '../table.ts';

const pathOf = (name: string): string => `/receivers/${encodeURIComponent(name)}`;

export async function listReceivers(context: Context): Promise<void> {
  const page = await context.api.request<{ items: readonly ReceiverItem[] }>('/receivers');
  const now = context.terminal.clock.now();
  print(context, page, () =>
    page.items.length === 0
      ? 'no receivers yet; alerts are only shown. Add one with: runnel receivers set NAME …\n'
      : table(
          ['NAME', 'KIND', 'FROM', 'SELECTOR', 'SENT', 'LAST ERROR'],
          page.items.map(({ name, kind, severity, selector, lastSentAt, lastError }) => [
            name,
            kind,
            severity,
            selector === '' ? 'all' : selector,
            ago(lastSentAt, now),
            lastError ?? '-',
          ]),
          context.terminal.columns,
        ),
  );
}

export interface ReceiverOptions {
  readonly kind: string;
  readonly selector: string;
  readonly severity: string;
  readonly resolved: boolean;
  readonly setting?: readonly string[];
  readonly secret?: readonly string[];
}

export async function setReceiver(
  context: Context,
  name: string,
  options: ReceiverOptions,
): Promise<void> {
  const { kind, selector, severity, resolved, setting = [], secret = [] } = options;
  const receiver = await context.api.request<ReceiverItem>(pathOf(name), {
    method: 'PUT',
    body: {
      kind,
      selector,
      severity,
      sendResolved: resolved,
      settings: Object.fromEntries(setting.map((text) => settingOf(text))),
      secrets: Object.fromEntries(secret.map((text) => secretOf(text))),
    },
  });
  print(context, receiver, () => `${name}: set; try it with: runnel receivers test ${name}\n`);
}

export async function deleteReceiver(context: Context, name: string): Promise<void> {
  await context.api.request(pathOf(name), { method: 'DELETE' });
  print(context, { name, deleted: true }, () => `${name}: deleted\n`);
}

export async function testReceiver(context: Context, name: string): Promise<void> {
  const path = `${pathOf(name)}/test`;
  const sent = await context.api.request<NotificationItem>(path, { method: 'POST' });
  if (sent.outcome !== 'sent') {
    throw new CliError(exitCodes.failed, `${name} did not take it: ${sent.error ?? ''}`, {
      code: 'receiver_failed',
      hint: 'runnel receivers list shows what is set',
    });
  }
  print(context, sent, () => `${name}: took the test (${sent.id})\n`);
}

/** `name=value`; what reads as JSON is that (numbers, lists), anything else is text. */
function settingOf(text: string): readonly [string, unknown] {
  const [name, value] = pairOf(text, '--setting', 'url=https://example.org/hook');
  try {
    return [name, JSON.parse(value) as unknown];
  } catch (error) {
    if (error instanceof SyntaxError) return [name, value];
    throw error;
  }
}

/** `name=env:RUNNEL_SECRET_X`, `name=file:NAME`, or the secret itself; empty takes it away. */
function secretOf(text: string): readonly [string, unknown] {
  const [name, value] = pairOf(text, '--secret', 'password=env:RUNNEL_SECRET_SMTP');
  if (value === '') return [name, null];
  if (value.startsWith('env:')) return [name, { env: value.slice('env:'.length) }];
  if (value.startsWith('file:')) return [name, { file: value.slice('file:'.length) }];
  return [name, value];
}

function pairOf(text: string, option: string, example: string): readonly [string, string] {
  const [, name, value] = /^([A-Za-z]+)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw usageError(`${option} needs name=value`, `for example ${option} ${example}`);
}
