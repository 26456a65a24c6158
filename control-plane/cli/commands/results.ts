/** `runnel results DATASET`: what jobs produced, once or as it comes in. */
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import { timestampOf } from '@runnel/shared/expressions/time-functions.ts';
import type { ResultItem } from '../../http/live-messages.ts';
import { suggestion } from '@runnel/shared/expressions/suggest.ts';
import { AgentNames } from '../agent-names.ts';
import { allPages } from '../all-pages.ts';
import { CliError, usageError } from '../cli-error.ts';
import type { Context } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { instant, keyText, oneLine, table } from '../table.ts';

export interface ResultsOptions {
  readonly agent?: string;
  readonly since?: string;
  readonly follow: boolean;
  readonly latest: boolean;
  /** Rows at most, without `--follow`. */
  readonly limit: number;
}

interface Page {
  readonly items: readonly ResultItem[];
  readonly next: string;
}

const PAGE = 1000;
const POLL_MS = 1000;

export async function results(
  context: Context,
  dataset: string,
  options: ResultsOptions,
): Promise<void> {
  const { terminal } = context;
  const since = sinceOf(options.since, terminal.clock.now());
  const printer = new Printer(context);
  let after: string | undefined;
  let left = options.follow ? Infinity : options.limit;
  while (left > 0 && !terminal.interrupted.aborted) {
    const limit = Math.min(PAGE, left);
    const page = await pageOf(context, dataset, { ...options, since, after, limit });
    if (page === undefined) break;
    after = page.next;
    left -= page.items.length;
    await printer.rows(page.items);
    if (page.items.length > 0) continue;
    if (!options.follow) break;
    // Ctrl-C ends the pause early; the loop looks.
    await terminal.clock.sleep(POLL_MS, terminal.interrupted).catch(() => undefined);
  }
  if (!options.follow && printer.isEmpty) await refuseUnknown(context, dataset);
  printer.end();
}

/** A dataset that holds rows, none of which was asked for, is no mistake; a wrong name is one. */
async function refuseUnknown(context: Context, dataset: string): Promise<void> {
  if (context.terminal.interrupted.aborted) return;
  const known = await allPages<{ readonly dataset: string }>(context, '/datasets');
  const names = known.map((each) => each.dataset);
  if (names.includes(dataset)) return;
  const hint = names.length === 0 ? undefined : suggestion(dataset, names);
  throw new CliError(exitCodes.failed, `no dataset named "${dataset}" holds results`, {
    code: 'not_found',
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Undefined when the person has had enough. */
async function pageOf(
  context: Context,
  dataset: string,
  query: {
    readonly agent?: string;
    readonly since: number | undefined;
    readonly after: string | undefined;
    readonly limit: number;
    readonly latest: boolean;
  },
): Promise<Page | undefined> {
  const { interrupted } = context.terminal;
  try {
    return await context.api.request<Page>(`/datasets/${encodeURIComponent(dataset)}/results`, {
      query: {
        agent: query.agent,
        since: query.since === undefined ? undefined : String(query.since),
        after: query.after,
        limit: String(query.limit),
        latest: query.latest ? 'true' : undefined,
      },
      signal: interrupted,
    });
  } catch (error) {
    if (interrupted.aborted) return undefined;
    throw error;
  }
}

/** `10m` means ten minutes ago; else ISO 8601 or epoch milliseconds. */
function sinceOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const duration = durationOf(text);
  if (duration !== undefined) return nowMs - duration;
  const at = /^\d{11,}$/.test(text) ? Number(text) : timestampOf(text);
  if (at !== undefined) return at;
  throw usageError(`"${text}" is no time`, 'for example 10m, or 2026-01-31T08:00:00Z');
}

/** A table per page, so that `--follow` shows rows as they come; headings once. */
class Printer {
  readonly #context: Context;
  readonly #items: ResultItem[] = [];
  readonly #names: AgentNames;
  #headed = false;
  #empty = true;

  constructor(context: Context) {
    this.#context = context;
    this.#names = new AgentNames(context);
  }

  get isEmpty(): boolean {
    return this.#empty;
  }

  async rows(items: readonly ResultItem[]): Promise<void> {
    const { terminal, output } = this.#context;
    if (items.length === 0) return;
    this.#empty = false;
    if (output === 'json') this.#items.push(...items);
    else if (output === 'jsonl') {
      terminal.out(items.map((item) => `${JSON.stringify(item)}\n`).join(''));
    } else {
      await this.#names.learn(items.map(({ agent }) => agent));
      const rows = items.map((item) => cells(item, this.#names.of(item.agent)));
      const text = table(HEADINGS, rows, terminal.columns);
      terminal.out(this.#headed ? text.slice(text.indexOf('\n') + 1) : text);
      this.#headed = true;
    }
  }

  end(): void {
    const { terminal, output } = this.#context;
    if (output === 'json') {
      terminal.out(`${JSON.stringify({ items: this.#items }, undefined, 2)}\n`);
    } else if (output === 'table' && !this.#headed) terminal.err('no results\n');
  }
}

const HEADINGS = ['TIME', 'AGENT', 'KEY', 'WINDOW', 'REV', 'VALUE'];

function cells(item: ResultItem, agent: string): string[] {
  return [
    instant(item.time).padEnd(24),
    agent,
    keyText(item.key),
    item.windowStart === null ? '-' : `${instant(item.windowStart)} … ${instant(item.windowEnd)}`,
    `${item.revision}`,
    item.value === null && item.windowEnd !== null
      ? '(retracted)'
      : oneLine(JSON.stringify(item.value)),
  ];
}
