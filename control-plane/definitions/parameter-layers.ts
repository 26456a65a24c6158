/**
 * Values of a job's parameters that people set from the outside, in layers, and what they come to
 * on one device. Pure.
 *
 * Precedence, weakest first: the job's own `default`; `fleet`; `label:<selector>`; `site:<name>`
 * (devices whose label `site` is that); `agent:<id>`. Of several labels that choose a device the
 * one with more terms is stronger, and of those with as many the one whose text comes later by
 * code unit: arbitrary, but the same everywhere, and told as tied.
 *
 * A value of a name that the job does not declare (any more) is not used: it waits for a version
 * that declares it. A value that a version cannot use keeps that version from the device; a missing
 * one does so for a stream job (a run of a batch job can still be given it).
 */
import {
  effectiveParametersOf,
  type ParameterDefinition,
} from '@runnel/shared/definitions/parameters.ts';
import { parsePath } from '@runnel/shared/definitions/path.ts';
import { type Selector, textOfSelector } from '@runnel/shared/definitions/selector.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { parseSelector, type Selectable, selects } from '../rollouts/selector.ts';
import type { EffectiveParameter } from '../http/parameter-messages.ts';

export type ParameterScope =
  | { readonly kind: 'fleet' }
  | { readonly kind: 'label'; readonly selector: Selector }
  | { readonly kind: 'site'; readonly site: string }
  | { readonly kind: 'agent'; readonly agent: string };

const SITE_CHARS_MAX = 63;
const SCOPES = 'fleet, label:<selector>, site:<name> or agent:<id>';

/** Error: `scope_invalid`. */
export function parseScope(text: string): ParameterScope {
  if (text === 'fleet') return { kind: 'fleet' };
  const [, kind, rest = ''] = /^(label|site|agent):(.*)$/s.exec(text) ?? [];
  const name = rest.trim();
  if (kind === 'label') return { kind, selector: labelSelector(name) };
  if (kind === 'site' && /^[A-Za-z0-9_.-]+$/.test(name) && name.length <= SITE_CHARS_MAX) {
    return { kind, site: name };
  }
  if (kind === 'agent' && /^[^\p{Cc}]{1,128}$/u.test(name)) return { kind, agent: name };
  throw new RunnelError('scope_invalid', `${JSON.stringify(text.slice(0, 200))} is no scope`, {
    hint: `one of ${SCOPES}`,
  });
}

function labelSelector(text: string): Selector {
  let selector: Selector;
  try {
    selector = parseSelector(text);
  } catch (cause) {
    if (!(cause instanceof RunnelError)) throw cause;
    const { message, hint = '' } = cause;
    throw new RunnelError('scope_invalid', message, { hint, cause });
  }
  if (selector.terms.length > 0) return selector;
  throw new RunnelError('scope_invalid', 'the selector of a label scope is empty', {
    hint: 'for every agent, use the scope fleet',
  });
}

/** The same text for scopes that mean the same. */
export function scopeText(scope: ParameterScope): string {
  switch (scope.kind) {
    case 'fleet':
      return 'fleet';
    case 'label':
      return `label:${textOfSelector(scope.selector)}`;
    case 'site':
      return `site:${scope.site}`;
    case 'agent':
      return `agent:${scope.agent}`;
  }
}

export interface Layer {
  /** As `scopeText` gives it. */
  readonly scope: string;
  readonly values: Readonly<Record<string, unknown>>;
}

interface ReadLayer extends Layer {
  readonly of: ParameterScope;
}

/** The layers of one job, ready to be asked for many agents. */
export class ParameterLayers {
  /** The same for the same layers. */
  readonly text: string;
  /** Weakest first, those of agents and sites last. */
  readonly all: readonly ReadLayer[];
  readonly #fleet: readonly ReadLayer[];
  readonly #labels: readonly ReadLayer[];
  readonly #sites: ReadonlyMap<string, ReadLayer>;
  readonly #agents: ReadonlyMap<string, ReadLayer>;

  /** Error: `scope_invalid`. */
  constructor(layers: readonly Layer[]) {
    const read = layers.map((layer) => ({ ...layer, of: parseScope(layer.scope) }));
    const ofKind = (kind: ParameterScope['kind']): ReadLayer[] =>
      read.filter(({ of }) => of.kind === kind).toSorted(byStrength);
    this.#fleet = ofKind('fleet');
    this.#labels = ofKind('label');
    const [sites, agents] = [ofKind('site'), ofKind('agent')];
    this.#sites = new Map(sites.map((layer) => [layer.scope, layer]));
    this.#agents = new Map(agents.map((layer) => [layer.scope, layer]));
    this.text = JSON.stringify(layers);
    this.all = [...this.#fleet, ...this.#labels, ...sites, ...agents];
  }

  /** Those that apply to an agent, weakest first. */
  of(agent: Selectable): readonly ReadLayer[] {
    if (this.all.length === 0) return [];
    const chosen = this.#labels.filter(
      ({ of }) => of.kind === 'label' && selects(of.selector, agent),
    );
    const { site } = agent.labels;
    const own = this.#agents.get(`agent:${agent.id}`);
    const local = site === undefined ? undefined : this.#sites.get(`site:${site}`);
    return [
      ...this.#fleet,
      ...chosen,
      ...(local === undefined ? [] : [local]),
      ...(own === undefined ? [] : [own]),
    ];
  }
}

export const NO_LAYERS = new ParameterLayers([]);

/** Values with their scopes, put together; `values` of one job in any order. */
export function layersOf(
  values: readonly { readonly scope: string; readonly name: string; readonly value: unknown }[],
): Layer[] {
  const scopes = new Map<string, [string, unknown][]>();
  for (const { scope, name, value } of values) {
    const entries = scopes.get(scope) ?? [];
    scopes.set(scope, entries);
    entries.push([name, value]);
  }
  return [...scopes].map(([scope, entries]) => ({ scope, values: Object.fromEntries(entries) }));
}

function termsOf({ of }: ReadLayer): number {
  return of.kind === 'label' ? of.selector.terms.length : 0;
}

function byStrength(a: ReadLayer, b: ReadLayer): number {
  return termsOf(a) - termsOf(b) || (a.scope < b.scope ? -1 : 1);
}

function isTied(a: ReadLayer, b: ReadLayer): boolean {
  return a.of.kind === 'label' && b.of.kind === 'label' && termsOf(a) === termsOf(b);
}

export type Declared = Readonly<Record<string, ParameterDefinition>>;

/** Values that are set under names which the job does not declare: `limit (site:lyon)`. */
export function unusedValues(declared: Declared, { all }: ParameterLayers): string[] {
  return all.flatMap(({ scope, values }) =>
    Object.keys(values)
      .filter((name) => !Object.hasOwn(declared, name))
      .map((name) => `${name} (${scope})`),
  );
}

export interface LayeredValues {
  /** What the device is told: as written, defaults included, in the order of the declaration. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly parameters: Readonly<Record<string, EffectiveParameter>>;
  readonly problems: readonly string[];
}

/** `layers` as `ParameterLayers.of` gives them. */
export function layeredValues(
  declared: Declared,
  layers: readonly ReadLayer[],
  isBatch: boolean,
): LayeredValues {
  const parameters = Object.fromEntries(
    Object.entries(declared).flatMap(([name, { default: own }]) => {
      const effective = effectiveOf(name, own, layers);
      return effective === undefined ? [] : [[name, effective]];
    }),
  );
  const given = Object.fromEntries(
    Object.entries(parameters).map(([name, { value }]) => [name, value]),
  );
  return { given, parameters, problems: problemsOf(declared, parameters, isBatch) };
}

function effectiveOf(
  name: string,
  own: unknown,
  layers: readonly ReadLayer[],
): EffectiveParameter | undefined {
  const setting = layers.filter(({ values }) => Object.hasOwn(values, name)).toReversed();
  const [winner] = setting;
  const all = [
    ...setting.map((layer) => ({
      origin: layer.scope,
      value: layer.values[name],
      tied: winner !== undefined && layer !== winner && isTied(layer, winner),
    })),
    ...(own === undefined ? [] : [{ origin: 'default', value: own, tied: false }]),
  ];
  const [first, ...overridden] = all;
  return first && { value: first.value, origin: first.origin, overridden };
}

function problemsOf(
  declared: Declared,
  parameters: Readonly<Record<string, EffectiveParameter>>,
  isBatch: boolean,
): string[] {
  const layers = Object.entries(parameters)
    .filter(([, { origin }]) => origin !== 'default')
    .map(([name, { value, origin }]) => ({ name: origin, values: { [name]: value } }));
  return effectiveParametersOf(declared, layers)
    .issues.filter(({ path }) => !isBatch || Object.hasOwn(parameters, String(parsePath(path)[1])))
    .map(({ path, message, hint }) => `${path} ${message}${hint === undefined ? '' : `: ${hint}`}`);
}
