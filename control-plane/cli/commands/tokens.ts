/** `runnel token create|list|revoke` and `runnel agents revoke|approve`. */
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { ago, labelText, table } from '../table.ts';

export const ROLES = ['agent', 'viewer', 'operator', 'admin'] as const;

export interface TokenOptions {
  readonly role: string;
  readonly name?: string;
  readonly labels?: readonly string[];
  readonly uses?: string;
  readonly expires?: string;
  readonly quiet: boolean;
  readonly install: boolean;
}

interface NewToken {
  readonly id: string;
  readonly role: string;
  readonly token: string;
  readonly expiresAt: number | null;
  readonly enrollCommand?: string;
  /** Of a control plane that serves archives of the agent, or says why it does not. */
  readonly install?: { readonly command: string | null; readonly problem: string | null };
}

export async function createToken(context: Context, options: TokenOptions): Promise<void> {
  if (options.role !== 'agent' && (options.labels !== undefined || options.uses !== undefined)) {
    throw usageError('--labels and --uses are for --role agent');
  }
  if (options.role !== 'agent' && options.install) {
    throw usageError('--install is for --role agent');
  }
  const made = await context.api.request<NewToken>('/tokens', {
    method: 'POST',
    body: {
      role: options.role,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.labels === undefined ? {} : { labels: labelsOf(options.labels) }),
      ...(options.uses === undefined ? {} : { uses: usesOf(options.uses) }),
      ...(options.expires === undefined ? {} : { expiresMs: expiresOf(options.expires) }),
    },
  });
  if (options.quiet) {
    context.terminal.out(`${made.token}\n`);
    return;
  }
  if (options.install) {
    print(context, made, () => installText(made));
    return;
  }
  print(context, made, () => newTokenText(context, made));
}

/** The line alone, to be copied or piped; why there is none goes the way of errors. */
function installText({ install, enrollCommand }: NewToken): string {
  if (install?.command) return `${install.command}\n`;
  throw new RunnelError('packages_not_found', install?.problem ?? 'no archives of the agent', {
    hint: `on a device that has the sources: ${enrollCommand}`,
  });
}

function newTokenText(context: Context, made: NewToken): string {
  const until =
    made.expiresAt === null
      ? 'does not expire'
      : `expires ${ago(made.expiresAt, context.terminal.clock.now())}`;
  const command = made.enrollCommand === undefined ? '' : `\nOn the device:\n  ${onDevice(made)}\n`;
  const facts = `Token ${made.id}, role ${made.role}, ${until}. It is shown this once.`;
  return `${made.token}\n\n${facts}\n${command}`;
}

function onDevice({ install, enrollCommand }: NewToken): string {
  if (install?.command) return `${install.command}\n\nOr from sources:\n  ${enrollCommand}`;
  return `${enrollCommand}\n\nThat is from sources: ${install?.problem ?? 'no archives here'}`;
}

/** `a=b`, repeated or joined by commas. */
function labelsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  const pairs = texts.flatMap((text) => text.split(',')).filter((pair) => pair.trim() !== '');
  return Object.fromEntries(
    pairs.map((pair): [string, string] => {
      const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
      if (name === undefined || value === undefined) {
        throw usageError(`"${pair}" is no label`, 'for example --labels site=lyon,role=press');
      }
      return [name, value];
    }),
  );
}

function usesOf(text: string): number {
  const uses = Number(text);
  if (Number.isSafeInteger(uses) && uses >= 1) return uses;
  throw usageError(`--uses ${text} is no number of devices`, 'a whole number from 1');
}

function expiresOf(text: string): number {
  const ms = durationOf(text);
  if (ms !== undefined && ms > 0) return ms;
  throw usageError(`--expires ${text} is no duration`, 'for example 1h or 7d');
}

interface TokenItem {
  readonly id: string;
  readonly role: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly uses?: number;
  readonly usesMax?: number | null;
  readonly expiresAt: number | null;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly revokedAt: number | null;
}

export async function listTokens(context: Context): Promise<void> {
  const page = await context.api.request<{ readonly items: readonly TokenItem[] }>('/tokens');
  const now = context.terminal.clock.now();
  print(context, page, () =>
    table(
      ['ID', 'ROLE', 'NAME', 'USES', 'STATE', 'CREATED', 'BY', 'LABELS'],
      page.items.map((token) => [
        token.id,
        token.role,
        token.name === undefined || token.name === '' ? '-' : token.name,
        token.role === 'agent' ? `${token.uses ?? 0}/${token.usesMax ?? '∞'}` : '-',
        stateOf(token, now),
        ago(token.createdAt, now),
        token.createdBy,
        labelText(token.labels ?? {}),
      ]),
      context.terminal.columns,
    ),
  );
}

function stateOf(token: TokenItem, nowMs: number): string {
  if (token.revokedAt !== null) return 'revoked';
  if (token.expiresAt === null) return 'valid';
  return token.expiresAt <= nowMs ? 'expired' : `expires ${ago(token.expiresAt, nowMs)}`;
}

export async function revokeToken(context: Context, id: string): Promise<void> {
  await context.api.request(`/tokens/${encodeURIComponent(id)}`, { method: 'DELETE' });
  print(context, { id, revoked: true }, () => `token ${id}: revoked\n`);
}

export async function changeAgent(
  context: Context,
  agent: string,
  change: 'revoke' | 'approve',
): Promise<void> {
  await context.api.request(`/agents/${encodeURIComponent(agent)}/${change}`, { method: 'POST' });
  const done = change === 'revoke' ? 'revoked' : 'approved';
  print(context, { agent, [done]: true }, () => `${agent}: ${done}\n`);
}
