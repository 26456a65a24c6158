/** `runnel logs RUN`: lines of a run, asked of its device, once or as they come. */
import type { LogLine } from '@runnel/shared/protocol/runs.ts';
import { CliError } from '../cli-error.ts';
import type { Context } from '../context.ts';
import { instant, oneLine } from '../table.ts';
import { paint } from '../terminal.ts';
import type { OfAgent } from './run-actions.ts';

export interface LogsOptions extends OfAgent {
  readonly task?: string;
  readonly follow: boolean;
}

interface Page {
  readonly items: readonly LogLine[];
  readonly next: number;
  readonly open: boolean;
}

const PAGE = 1000;
const POLL_MS = 1000;

/** With `--follow` until the run has ended, or Ctrl-C. A device that is away is waited for. */
export async function logs(context: Context, run: string, options: LogsOptions): Promise<void> {
  const { terminal } = context;
  const all: LogLine[] = [];
  let after = 0;
  let away = false;
  while (!terminal.interrupted.aborted) {
    const page = await pageOf(context, run, options, after);
    if (page === 'interrupted') break;
    if (page === 'away') {
      if (!away) terminal.err('the device cannot be reached now; waiting for it\n');
      away = true;
    } else {
      away = false;
      after = page.next;
      if (context.output === 'json') all.push(...page.items);
      else terminal.out(page.items.map((line) => lineText(context, line)).join(''));
      if (page.items.length > 0) continue;
      if (!options.follow || !page.open) break;
    }
    await terminal.clock.sleep(POLL_MS, terminal.interrupted).catch((error: unknown) => {
      if (!terminal.interrupted.aborted) throw error;
    });
  }
  if (context.output === 'json') {
    terminal.out(`${JSON.stringify({ items: all }, undefined, 2)}\n`);
  }
}

async function pageOf(
  { api, terminal }: Context,
  run: string,
  { task, follow, agent }: LogsOptions,
  after: number,
): Promise<Page | 'away' | 'interrupted'> {
  const { interrupted } = terminal;
  try {
    return await api.request<Page>(`/runs/${encodeURIComponent(run)}/logs`, {
      query: { agent, task, after: String(after), limit: String(PAGE) },
      signal: interrupted,
    });
  } catch (error) {
    if (interrupted.aborted) return 'interrupted';
    if (follow && error instanceof CliError && error.code === 'device_unreachable') return 'away';
    throw error;
  }
}

/** Lines come one by one: room for most names, since the longest is not known. */
const WHERE_COLUMNS = 16;

const COLOURS = { debug: 'grey', warn: 'yellow', error: 'red' } as const;

function lineText({ terminal, output }: Context, line: LogLine): string {
  if (output !== 'table') return `${JSON.stringify(line)}\n`;
  const { at, level, task, index, attempt, text } = line;
  const instance = `${task}${index === null ? '' : `[${index}]`}`;
  const where = task === null ? '-' : attempt === 0 ? instance : `${instance}#${attempt}`;
  const colour = level === 'info' ? undefined : COLOURS[level];
  const word = colour === undefined ? level : paint(terminal, colour, level);
  const head = `${instant(at).padEnd(24)}  ${word}${' '.repeat(5 - level.length)}`;
  return `${head}  ${oneLine(where).padEnd(WHERE_COLUMNS)}  ${oneLine(text)}\n`;
}
