/**
 * Selectors over agents: for placement, and as the filter of the API.
 *
 * Built in, and stronger than a label of the same name that a device gave itself: `name`, `id`,
 * `arch`, `os`.
 */
import {
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
}

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
  return selector.terms.length === 0 || selectorMatches(selector, effectiveLabels(agent));
}

/** The labels that selectors see. */
export function effectiveLabels(agent: Selectable): ReadonlyMap<string, string> {
  return new Map([
    ...Object.entries(agent.labels),
    ['name', agent.name],
    ['id', agent.id],
    ['arch', agent.platform.arch],
    ['os', agent.platform.os],
  ]);
}
