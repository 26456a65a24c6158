/** `runnel params get|set|unset`: values of jobs' parameters, by layer and by device. */
import type {
  AgentJobParameters,
  AgentParameters,
  EffectiveParameter,
  JobParameters,
  OverriddenValue,
} from '../../http/parameter-messages.ts';
import { usageError } from '../cli-error.ts';
import { type Context, print } from '../context.ts';
import { namedValues } from '../named-values.ts';
import { ago, oneLine, table } from '../table.ts';
import { paint } from '../terminal.ts';

/** For whom a value is set: exactly one. */
export interface ScopeOptions {
  readonly fleet?: boolean;
  readonly label?: string;
  readonly site?: string;
  readonly agent?: string;
}

export async function getParameters(
  context: Context,
  job: string | undefined,
  { agent }: { readonly agent?: string },
): Promise<void> {
  if (agent !== undefined) return await getAgentParameters(context, agent, job);
  if (job === undefined) throw usageError('of which job or agent?', 'runnel params get JOB');
  const found = await context.api.request<JobParameters>(pathOf(job));
  print(context, found, () => jobText(context, found));
  warnOfProblems(context, found);
}

async function getAgentParameters(
  context: Context,
  agent: string,
  job: string | undefined,
): Promise<void> {
  const id = encodeURIComponent(agent);
  if (job === undefined) {
    const found = await context.api.request<AgentParameters>(`/agents/${id}/parameters`);
    print(context, found, () => effectiveTable(context, found.jobs, found.agentName));
    return;
  }
  const path = `/jobs/${encodeURIComponent(job)}/agents/${id}/parameters`;
  const found = await context.api.request<AgentJobParameters>(path);
  print(context, found, () => effectiveTable(context, [found], found.agentName));
}

/** A value is JSON, or the text itself; what is declared as text is never read as JSON. */
export async function setParameters(
  context: Context,
  job: string,
  given: readonly string[],
  options: ScopeOptions,
): Promise<void> {
  const scope = scopeOf(options);
  const { declared } = await context.api.request<JobParameters>(pathOf(job));
  const byName = Object.fromEntries(declared.map(({ name, ...spec }) => [name, spec]));
  const set = namedValues(given, byName, (text) => `"${text}"`);
  await change(context, job, { scope, set, unset: [] });
}

export async function unsetParameters(
  context: Context,
  job: string,
  names: readonly string[],
  options: ScopeOptions,
): Promise<void> {
  await change(context, job, { scope: scopeOf(options), set: {}, unset: names });
}

interface Change {
  readonly scope: string;
  readonly set: Readonly<Record<string, unknown>>;
  readonly unset: readonly string[];
}

async function change(context: Context, job: string, body: Change): Promise<void> {
  const found = await context.api.request<JobParameters>(pathOf(job), { method: 'PATCH', body });
  const lines = [
    ...Object.entries(body.set).map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
    ...body.unset.map((name) => `${name} unset`),
  ];
  print(context, found, () =>
    lines.map((line) => `${job}: ${oneLine(line)} for ${oneLine(body.scope)}\n`).join(''),
  );
}

function scopeOf({ fleet, label, site, agent }: ScopeOptions): string {
  const scopes = [
    ...(fleet === true ? ['fleet'] : []),
    ...(label === undefined ? [] : [`label:${label}`]),
    ...(site === undefined ? [] : [`site:${site}`]),
    ...(agent === undefined ? [] : [`agent:${agent}`]),
  ];
  const [scope, second] = scopes;
  if (scope !== undefined && second === undefined) return scope;
  const problem = scope === undefined ? 'for whom?' : 'one layer at a time';
  throw usageError(problem, 'one of --fleet, --label SELECTOR, --site SITE, --agent AGENT');
}

function pathOf(job: string): string {
  return `/jobs/${encodeURIComponent(job)}/parameters`;
}

function jobText(context: Context, { job, version, declared, layers }: JobParameters): string {
  const { columns, clock } = context.terminal;
  if (declared.length === 0 && layers.length === 0) return `${job} declares no parameters\n`;
  const own = table(
    ['PARAMETER', 'TYPE', 'DEFAULT', 'DESCRIPTION'],
    declared.map((parameter) => [
      parameter.name,
      parameter.type ?? 'schema',
      parameter.default === undefined ? '-' : JSON.stringify(parameter.default),
      parameter.description ?? '-',
    ]),
    columns,
  );
  const rows = layers.flatMap((layer) =>
    layer.values.map(({ name, value, setAt, setBy }) => [
      layer.agentName === null ? layer.scope : `agent:${layer.agentName}`,
      name,
      JSON.stringify(value),
      `${layer.agents}`,
      ago(setAt, clock.now()),
      setBy,
    ]),
  );
  const headings = ['SCOPE', 'PARAMETER', 'VALUE', 'AGENTS', 'SET', 'BY'];
  const set = rows.length === 0 ? 'nothing is set\n' : table(headings, rows, columns);
  return `${job} version ${version}\n\n${own}\n${set}`;
}

function warnOfProblems({ terminal }: Context, { layers }: JobParameters): void {
  for (const { scope, values } of layers) {
    for (const { name, problem } of values) {
      if (problem === null) continue;
      const word = paint(terminal, 'yellow', 'warning');
      terminal.err(`${word}: ${oneLine(`${name} of ${scope}: ${problem}`)}\n`);
    }
  }
}

function effectiveTable(
  { terminal }: Context,
  jobs: readonly AgentJobParameters[],
  agent: string,
): string {
  const rows = jobs.flatMap(({ job, parameters }) =>
    Object.entries(parameters).map(([name, parameter]) => [
      job,
      name,
      ...effectiveCells(parameter),
    ]),
  );
  const problems = jobs
    .flatMap(({ job, problems: each }) => each.map((problem) => `${job}: ${problem}`))
    .map((problem) => `${paint(terminal, 'red', 'not placed')}: ${oneLine(problem)}\n`);
  if (rows.length === 0 && problems.length === 0) return `no parameters on ${oneLine(agent)}\n`;
  const headings = ['JOB', 'PARAMETER', 'VALUE', 'FROM', 'HIDES'];
  return `${table(headings, rows, terminal.columns)}${problems.join('')}`;
}

function effectiveCells({ value, origin, overridden }: EffectiveParameter): string[] {
  const hidden = overridden.map(hiddenText).join(', ');
  return [JSON.stringify(value), origin, hidden === '' ? '-' : hidden];
}

function hiddenText({ origin, value, tied }: OverriddenValue): string {
  return `${origin} ${JSON.stringify(value)}${tied ? ' (as strong)' : ''}`;
}
