/**
 * Selectors over agents: for placement, for layers of parameters, and as the filter of the API.
 *
 * Built in, and stronger than a label of the same key that a device gave itself: `name`, `id`,
 * `arch`, `os`, `agentVersion`, and `capability/NAME` (with `/` for `:`, as `capability/task/sql`)
 * for each thing that the agent said it can do, with the value `true`. Whether a device is
 * connected is no label: a job would come and go with the network.
 *
 * Until an agent has said what it can do, no selector that asks for capabilities chooses it, not
 * even one that asks for their absence.
 */
import {
  type LabelLookup,
  parseSelector as parse,
  type Selector,
  selectorMatches,
} from '@runnel/shared/definitions/selector.ts';
import { RunnelError } from '@runnel/shared/errors.ts';

export interface Selectable {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly platform: { readonly os: string; readonly arch: string };
  readonly agentVersion?: string | undefined;
  /** As it reported them; undefined before it did. */
  readonly capabilities?: readonly string[] | undefined;
}

const CAPABILITY = 'capability/';

/** Errors: `selector_invalid`. */
export function parseSelector(text: string): Selector {
  const parsed = parse(text);
  if (!('problem' in parsed)) return parsed;
  const shown = JSON.stringify(text.slice(0, 200));
  throw new RunnelError('selector_invalid', `the selector ${shown} ${parsed.problem}`, {
    hint: parsed.hint,
  });
}

export function selects(selector: Selector, agent: Selectable): boolean {
  if (agent.capabilities === undefined && asksForCapabilities(selector)) return false;
  return selectorMatches(selector, effectiveLabels(agent));
}

function asksForCapabilities({ terms }: Selector): boolean {
  return terms.some(({ key }) => key.startsWith(CAPABILITY));
}

/** The labels that selectors see; looked up, since a fleet has many and a selector asks for few. */
function effectiveLabels(agent: Selectable): LabelLookup {
  return {
    get(key) {
      switch (key) {
        case 'name':
        case 'id':
        case 'agentVersion':
          return agent[key];
        case 'arch':
        case 'os':
          return agent.platform[key];
        default:
          if (key.startsWith(CAPABILITY)) return capabilityValue(agent, key);
          return Object.hasOwn(agent.labels, key) ? agent.labels[key] : undefined;
      }
    },
  };
}

function capabilityValue({ capabilities }: Selectable, key: string): string | undefined {
  const capability = key.slice(CAPABILITY.length).replaceAll('/', ':');
  return capabilities?.includes(capability) === true ? 'true' : undefined;
}
