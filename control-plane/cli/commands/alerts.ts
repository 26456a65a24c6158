/** `runnel alerts`: what is wrong in the fleet, and what people make of it. */
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import type { AlertItem, NotificationItem, SilenceItem } from '../../http/alert-messages.ts';
import { usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { ago, instant, table } from '../table.ts';
import { paint } from '../terminal.ts';

export interface AlertsOptions {
  readonly state?: string;
  readonly severity?: string;
  readonly source?: string;
  readonly job?: string;
  readonly agent?: string;
  readonly limit: number;
}

const PAGE_MAX = 1000;

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** At most `limit`, over as many pages as it takes. */
async function pages<T>(
  context: Context,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
  limit: number,
): Promise<T[]> {
  const items: T[] = [];
  let after: string | undefined;
  do {
    const size = String(Math.min(limit - items.length, PAGE_MAX));
    const page = await context.api.request<Page<T>>(path, {
      query: { ...query, after, limit: size },
    });
    items.push(...page.items);
    after = page.next ?? undefined;
  } while (after !== undefined && items.length < limit);
  return items;
}

/** Open ones unless a state is asked for. */
export async function listAlerts(context: Context, options: AlertsOptions): Promise<void> {
  const { limit, state = 'open', severity, source, job, agent } = options;
  const query = { state: state === 'all' ? undefined : state, severity, source, job, agent };
  const items = await pages<AlertItem>(context, '/alerts', query, limit);
  const { terminal } = context;
  const now = terminal.clock.now();
  print(context, { items }, () =>
    items.length === 0
      ? 'no alerts\n'
      : table(
          // What is cut in a narrow terminal is what matters least there.
          ['ID', 'SEVERITY', 'STATE', 'SINCE', 'TITLE', 'MESSAGE'],
          items.map((alert) => [
            alert.id,
            severityText(context, alert),
            alert.state,
            ago(alert.startedAt, now),
            alert.title,
            alert.message,
          ]),
          terminal.columns,
        ),
  );
}

function severityText({ terminal }: Context, { severity, state }: AlertItem): string {
  if (state === 'resolved' || severity === 'info') return severity;
  return paint(terminal, severity === 'error' ? 'red' : 'yellow', severity);
}

export type AlertAction = 'acknowledge' | 'unacknowledge' | 'resolve';

const DONE: Readonly<Record<AlertAction, string>> = {
  acknowledge: 'acknowledged; it is not told again until it ends or gets worse',
  unacknowledge: 'not acknowledged any more',
  resolve: 'resolved; it comes again while it is still wrong',
};

export async function actOnAlert(context: Context, id: string, action: AlertAction): Promise<void> {
  const path = `/alerts/${encodeURIComponent(id)}/${action}`;
  const alert = await context.api.request<AlertItem>(path, { method: 'POST' });
  print(context, alert, () => `${alert.title}: ${DONE[action]}\n`);
}

export interface SilenceOptions {
  readonly for: string;
  readonly comment: string;
}

export async function silence(
  context: Context,
  selector: string,
  options: SilenceOptions,
): Promise<void> {
  const ms = durationOf(options.for);
  if (ms === undefined || ms <= 0) {
    throw usageError(`--for ${options.for} is no duration`, 'for example 2h or 30m');
  }
  const now = context.terminal.clock.now();
  const made = await context.api.request<SilenceItem>('/silences', {
    method: 'POST',
    body: { selector, until: now + ms, comment: options.comment },
  });
  print(context, made, () => `silence ${made.id}: until ${instant(made.until)}\n`);
}

export async function listSilences(context: Context): Promise<void> {
  const page = await context.api.request<{ items: readonly SilenceItem[] }>('/silences');
  const now = context.terminal.clock.now();
  print(context, page, () =>
    page.items.length === 0
      ? 'no silences\n'
      : table(
          ['ID', 'BEGINS', 'ENDS', 'SELECTOR', 'BY', 'COMMENT'],
          page.items.map(({ id, from, until, selector, by, comment }) => [
            id,
            ago(from, now),
            ago(until, now),
            selector,
            by,
            comment,
          ]),
          context.terminal.columns,
        ),
  );
}

export async function unsilence(context: Context, id: string): Promise<void> {
  await context.api.request(`/silences/${encodeURIComponent(id)}`, { method: 'DELETE' });
  print(context, { id, ended: true }, () => `silence ${id}: ended\n`);
}

export async function listNotifications(
  context: Context,
  options: { readonly receiver?: string; readonly limit: number },
): Promise<void> {
  const { receiver, limit } = options;
  const items = await pages<NotificationItem>(context, '/notifications', { receiver }, limit);
  print(context, { items }, () =>
    items.length === 0
      ? 'nothing was sent yet\n'
      : table(
          ['TIME', 'RECEIVER', 'OUTCOME', 'TRIES', 'ALERTS', 'ERROR'],
          items.map(({ at, receiver: to, outcome, attempts, alerts, error }) => [
            instant(at),
            to,
            outcome,
            `${attempts}`,
            alerts.length === 0 ? 'test' : `${alerts.length}`,
            error ?? '-',
          ]),
          context.terminal.columns,
        ),
  );
}
