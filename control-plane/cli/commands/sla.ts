/** `runnel sla`: verdicts on what jobs promise, their history, and how well they were kept. */
import { durationText } from '@runnel/shared/expressions/duration-text.ts';
import type {
  SlaComplianceItem,
  SlaIntervalItem,
  SlaItem,
  SlaVerdict,
} from '../../http/sla-messages.ts';
import { type Context, print } from '../context.ts';
import { ago, instant, table } from '../table.ts';
import type { Terminal } from '../terminal.ts';

export interface SlaOptions {
  readonly agent?: string;
  readonly verdict?: SlaVerdict;
}

export interface SlaHistoryOptions {
  readonly agent?: string;
  readonly since?: string;
}

export interface SlaComplianceOptions {
  readonly over?: string;
}

/** As JSON it is the list itself. */
export async function listSlas(
  context: Context,
  job: string | undefined,
  { agent, verdict }: SlaOptions,
): Promise<void> {
  const query = { job, agent, verdict };
  const { items } = await context.api.request<{ items: readonly SlaItem[] }>('/slas', { query });
  // A job that promises nothing is no mistake; a wrong name is one.
  if (items.length === 0 && job !== undefined) await requireJob(context, job);
  print(context, items, () => slasText(context.terminal, items));
}

function slasText(terminal: Terminal, items: readonly SlaItem[]): string {
  if (items.length === 0) return 'no promises are judged\n';
  const now = terminal.clock.now();
  return table(
    ['JOB', 'SLA', 'AGENT', 'VERDICT', 'SINCE', 'TARGET', 'CAUSE'],
    items.map((item) => [
      item.job,
      item.sla,
      item.agent === null ? '(fleet)' : (item.agentName ?? item.agent),
      verdictText(item),
      ago(item.since, now),
      item.target,
      item.cause,
    ]),
    terminal.columns,
  );
}

function verdictText({ verdict, deviceVerdict }: SlaItem): string {
  if (deviceVerdict === null) return WORDS[verdict];
  return `${WORDS[verdict]} (was ${WORDS[deviceVerdict]})`;
}

const WORDS: Readonly<Record<SlaVerdict, string>> = {
  met: 'met',
  atRisk: 'at risk',
  breached: 'breached',
  unreachable: 'unreachable',
};

interface Read<T> {
  readonly items: readonly T[];
  readonly truncated: boolean;
}

export async function slaHistory(
  context: Context,
  job: string,
  sla: string,
  { agent, since }: SlaHistoryOptions,
): Promise<void> {
  const query = { job, sla, agent, since };
  const read = await context.api.request<Read<SlaIntervalItem>>('/slas/history', { query });
  print(context, read, () => historyText(context.terminal, read));
}

function historyText(terminal: Terminal, { items, truncated }: Read<SlaIntervalItem>): string {
  if (items.length === 0) return 'no history\n';
  const now = terminal.clock.now();
  const agents = new Set(items.map(({ agent }) => agent));
  const text = table(
    [...(agents.size > 1 ? ['AGENT'] : []), 'FROM', 'FOR', 'VERDICT', 'JUDGE', 'CAUSE'],
    items.map((item) => [
      ...(agents.size > 1 ? [item.agent ?? '(fleet)'] : []),
      instant(item.from),
      spanOf(Math.max(0, (item.to ?? now) - item.from)),
      WORDS[item.verdict],
      item.judge,
      item.cause,
    ]),
    terminal.columns,
  );
  return truncated ? `${text}There is more than is shown: the earliest is missing.\n` : text;
}

export async function slaCompliance(
  context: Context,
  job: string,
  { over }: SlaComplianceOptions,
): Promise<void> {
  const query = { job, over };
  const read = await context.api.request<Read<SlaComplianceItem>>('/slas/compliance', { query });
  print(context, read, () => complianceText(context.terminal, read.items));
}

function complianceText(terminal: Terminal, items: readonly SlaComplianceItem[]): string {
  if (items.length === 0) return 'nothing is known yet\n';
  return table(
    ['SLA', 'AGENT', 'KEPT', 'OBJECTIVE', 'BUDGET LEFT', 'BREACHES', 'BREACHED', 'UNREACHABLE'],
    items.map((item) => [
      item.sla,
      item.agent ?? '(all)',
      percent(item.compliance),
      percent(item.objective),
      percent(item.budgetLeft),
      `${item.breaches}`,
      spanOf(item.breachedMs),
      spanOf(item.unreachableMs),
    ]),
    terminal.columns,
  );
}

/** Never rounded up: 99.996% of a promise of 100% is not all of it. */
function percent(share: number | null): string {
  return share === null ? '-' : `${Math.floor(share * 10_000) / 100}%`;
}

function spanOf(ms: number): string {
  return ms === 0 ? '-' : durationText(ms < 1000 ? Math.ceil(ms) : ms - (ms % 1000));
}

async function requireJob(context: Context, job: string): Promise<void> {
  await context.api.request(`/jobs/${encodeURIComponent(job)}`);
}
