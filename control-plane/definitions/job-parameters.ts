/**
 * Parameters of jobs as people set them: values in layers (parameter-layers.ts), checked by what
 * the job's current version declares.
 *
 * A change is stored whole or not at all, audited, told as an event, and has taken effect when the
 * call returns: the agents whose values it changes, and no others, get a new desired revision at
 * once. A rollout is for versions; who wants parameters to come in steps sets them for one label or
 * site after another.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { effectiveParameters } from '@runnel/shared/definitions/parameters.ts';
import { parsePath } from '@runnel/shared/definitions/path.ts';
import { DefinitionError, type DefinitionIssue, RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { Kysely } from 'kysely';
import type {
  AgentJobParameters,
  JobParameters,
  LayerValue,
  ParameterDeclaration,
} from '../http/parameter-messages.ts';
import { declaredParameters } from './declared-parameters.ts';
import type { Selectable } from '../rollouts/selector.ts';
import { appendAudit } from '../store/audit.ts';
import { appendEvent } from '../store/events.ts';
import { changeParameters, type ParameterRecord, parameterRecords } from '../store/parameters.ts';
import type { Schema } from '../store/schema.ts';
import {
  type Declared,
  layeredValues,
  layersOf,
  ParameterLayers,
  type ParameterScope,
  scopeText,
} from './parameter-layers.ts';

export interface JobParametersParts {
  readonly db: Kysely<Schema>;
  readonly clock: Clock;
  /** Approved agents, as selectors see them. */
  readonly agents: () => readonly Selectable[];
  /** What is to run changed: bring desired state up to date. */
  readonly changed: () => Promise<void>;
}

/** A version of a job. */
export interface ParameterizedJob {
  readonly name: string;
  readonly version: number;
  readonly kind: string;
  readonly document: unknown;
}

export interface ParameterEdit {
  /** Of an agent: by its id. */
  readonly scope: ParameterScope;
  readonly set: Readonly<Record<string, unknown>>;
  readonly unset: readonly string[];
}

export class JobParameterLayers {
  readonly #parts: JobParametersParts;

  constructor(parts: JobParametersParts) {
    this.#parts = parts;
  }

  async layers(job: string): Promise<ParameterLayers> {
    return new ParameterLayers(layersOf(await parameterRecords(this.#parts.db, job)));
  }

  async list(job: ParameterizedJob): Promise<JobParameters> {
    const records = await parameterRecords(this.#parts.db, job.name);
    const declared = declaredParameters(job.document);
    const layers = new ParameterLayers(layersOf(records));
    const agents = this.#parts.agents();
    const counts = countAgents(layers, agents);
    const names = new Map(agents.map(({ id, name }) => [id, name]));
    const values = new Map<string, LayerValue[]>();
    for (const record of records) {
      const inScope = values.get(record.scope) ?? [];
      values.set(record.scope, inScope);
      inScope.push(layerValue(record, declared));
    }
    return {
      job: job.name,
      version: job.version,
      declared: Object.entries(declared).map(([name, spec]) => declaration(name, spec)),
      layers: layers.all.map(({ scope, of }) => ({
        scope,
        kind: of.kind,
        agentName: of.kind === 'agent' ? (names.get(of.agent) ?? null) : null,
        agents: counts.get(scope) ?? 0,
        values: values.get(scope) ?? [],
      })),
    };
  }

  /** What the job has, or would have, on an agent. */
  async of(job: ParameterizedJob, agent: Selectable): Promise<AgentJobParameters> {
    const layers = (await this.layers(job.name)).of(agent);
    const isBatch = job.kind === 'BatchJob';
    const { parameters, problems } = layeredValues(
      declaredParameters(job.document),
      layers,
      isBatch,
    );
    const { name, version } = job;
    return { job: name, version, agent: agent.id, agentName: agent.name, parameters, problems };
  }

  /**
   * Errors: `definition_invalid` with every value that the job cannot use, `parameter_not_found`
   * for a name to unset that is not set there, `parameters_out_of_range`.
   */
  async change(job: ParameterizedJob, edit: ParameterEdit, actor: string): Promise<void> {
    const { db, clock, changed } = this.#parts;
    const scope = scopeText(edit.scope);
    refuseUnfit(declaredParameters(job.document), edit.set);
    const records = await parameterRecords(db, job.name);
    const before = new Map(
      records.filter((record) => record.scope === scope).map(({ name, value }) => [name, value]),
    );
    refuseUnknown(edit.unset, before, scope);
    refuseTooMany(records, edit.scope, scope);
    const set = Object.fromEntries(
      Object.entries(edit.set).filter(
        ([name, value]) => !before.has(name) || !isSameValue(before.get(name), value),
      ),
    );
    const unset = [...new Set(edit.unset)];
    if (Object.keys(set).length === 0 && unset.length === 0) return;
    const at = clock.now();
    await changeParameters(db, { job: job.name, scope, set, unset, at, by: actor });
    const data = { scope, set, unset };
    const action = 'job.parameters';
    await appendAudit(db, { at, actor, action, subject: job.name, data });
    await appendEvent(db, {
      ...{ at, agent: edit.scope.kind === 'agent' ? edit.scope.agent : null, job: job.name },
      ...{ type: 'parameters', severity: 'info', message: changeText(data, before), data },
    });
    await changed();
  }
}

function countAgents(
  layers: ParameterLayers,
  agents: readonly Selectable[],
): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const agent of agents) {
    for (const { scope } of layers.of(agent)) counts.set(scope, (counts.get(scope) ?? 0) + 1);
  }
  return counts;
}

function declaration(name: string, spec: Declared[string]): ParameterDeclaration {
  const { type, schema, description, min, max, values } = spec;
  return {
    name,
    type: type ?? null,
    schema: schema ?? null,
    ...(spec.default === undefined ? {} : { default: spec.default }),
    description: description ?? null,
    min: min ?? null,
    max: max ?? null,
    values: values ?? null,
  };
}

function layerValue(
  { name, value, setAt, setBy }: ParameterRecord,
  declared: Declared,
): LayerValue {
  const [issue] = issuesOf(declared, { [name]: value });
  return { name, value, setAt, setBy, problem: issue?.message ?? null };
}

/** What is wrong with these values, whatever else the job needs. */
function issuesOf(
  declared: Declared,
  values: Readonly<Record<string, unknown>>,
): DefinitionIssue[] {
  return effectiveParameters(declared, values).issues.filter(({ path }) =>
    Object.hasOwn(values, String(parsePath(path)[1])),
  );
}

function refuseUnfit(declared: Declared, values: Readonly<Record<string, unknown>>): void {
  const issues = issuesOf(declared, values);
  for (const [name, value] of Object.entries(values)) {
    if (Buffer.byteLength(JSON.stringify(value)) <= limits.parameterValueBytesMax) continue;
    const message = `is larger than ${limits.parameterValueBytesMax} bytes`;
    issues.push({ path: `parameters.${name}`, message });
  }
  if (issues.length > 0) throw new DefinitionError(issues);
}

function refuseUnknown(
  unset: readonly string[],
  before: ReadonlyMap<string, unknown>,
  scope: string,
): void {
  const missing = unset.find((name) => !before.has(name));
  if (missing === undefined) return;
  const known = [...before.keys()].join(', ');
  throw new RunnelError('parameter_not_found', `${missing} is not set for ${scope}`, {
    hint: known === '' ? 'nothing is set there' : `set there: ${known}`,
  });
}

function refuseTooMany(
  records: readonly ParameterRecord[],
  { kind }: ParameterScope,
  scope: string,
): void {
  const scopes = new Set(records.map((record) => record.scope));
  if (scopes.has(scope)) return;
  const labels = [...scopes].filter((each) => each.startsWith('label:')).length;
  const isFull =
    scopes.size >= limits.parameterLayersMax ||
    (kind === 'label' && labels >= limits.parameterLabelLayersMax);
  if (!isFull) return;
  const [count, what] =
    kind === 'label' ? [labels, 'selectors'] : [scopes.size, 'layers of parameters'];
  throw new RunnelError('parameters_out_of_range', `the job has ${count} ${what} already`, {
    hint: 'unset those that are not needed: runnel params get JOB lists them',
  });
}

function isSameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const VALUE_CHARS_MAX = 200;

function changeText(
  { scope, set, unset }: Pick<ParameterEdit, 'set' | 'unset'> & { readonly scope: string },
  before: ReadonlyMap<string, unknown>,
): string {
  const changes = [
    ...Object.entries(set).map(([name, value]) => {
      const was = before.has(name) ? ` (was ${shortText(before.get(name))})` : '';
      return `${name} = ${shortText(value)}${was}`;
    }),
    ...unset.map((name) => `${name} unset (was ${shortText(before.get(name))})`),
  ];
  return `parameters of ${scope}: ${changes.join(', ')}`;
}

function shortText(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}…`;
}
