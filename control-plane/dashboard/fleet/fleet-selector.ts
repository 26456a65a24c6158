/**
 * Selectors as the filter of the list: the same as of placement and of the command line, judged
 * here. What a device can do is not part of the list, so that terms about it are refused. Pure.
 */
import type { Selector } from '@runnel/shared/definitions/selector.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { AgentItem } from '../../http/live-messages.ts';
import { parseSelector, selects } from '../../rollouts/selector.ts';

export type ReadSelector =
  | { readonly selector: Selector }
  /** A sentence: what is wrong, and how it is written. */
  | { readonly problem: string };

export function readSelector(text: string): ReadSelector {
  try {
    const selector = parseSelector(text);
    const asked = selector.terms.find(({ key }) => key.startsWith('capability/'));
    if (asked === undefined) return { selector };
    const problem = `the list does not hold ${asked.key}: use runnel get agents --selector`;
    return { problem };
  } catch (error) {
    if (!(error instanceof RunnelError)) throw error;
    return { problem: `${error.message}; ${error.hint ?? ''}` };
  }
}

export function selectsItem(selector: Selector, agent: AgentItem): boolean {
  return selects(selector, { ...agent, agentVersion: agent.version, capabilities: [] });
}

/** With one more label asked for. */
export function withTerm(text: string, term: string): string {
  return text.trim() === '' ? term : `${text.trim()},${term}`;
}
