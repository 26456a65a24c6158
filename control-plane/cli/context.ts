/** What every command gets: the API, the terminal, and how to print. */
import type { ApiClient } from './api-client.ts';
import type { Terminal } from './terminal.ts';

export type OutputFormat = 'table' | 'json' | 'jsonl';

export interface Context {
  readonly api: ApiClient;
  readonly terminal: Terminal;
  readonly output: OutputFormat;
}

/** JSON for programs, or what `people` gives. */
export function print(context: Context, value: unknown, people: () => string): void {
  const { terminal, output } = context;
  terminal.out(output === 'table' ? people() : `${jsonText(value, output)}\n`);
}

function jsonText(value: unknown, output: OutputFormat): string {
  return output === 'jsonl' ? JSON.stringify(value) : JSON.stringify(value, undefined, 2);
}
