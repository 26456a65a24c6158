/** What every command gets: the API, the terminal, and how to print. */
import { stringify } from 'yaml';
import type { ApiClient } from './api-client.ts';
import type { Terminal } from './terminal.ts';

export type OutputFormat = 'table' | 'json' | 'jsonl' | 'yaml';

export interface Context {
  readonly api: ApiClient;
  readonly terminal: Terminal;
  readonly output: OutputFormat;
}

/** JSON or YAML for programs, or what `people` gives. */
export function print(context: Context, value: unknown, people: () => string): void {
  const { terminal, output } = context;
  terminal.out(output === 'table' ? people() : textOf(value, output));
}

function textOf(value: unknown, output: OutputFormat): string {
  if (output === 'yaml') return stringify(value);
  const text = output === 'jsonl' ? JSON.stringify(value) : JSON.stringify(value, undefined, 2);
  return `${text}\n`;
}
