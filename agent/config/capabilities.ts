/** What an agent of this release offers, in words that placement and people can match on. */
import { sinks } from '@runnel/shared/definitions/sinks/registry.ts';
import { sources } from '@runnel/shared/definitions/sources/registry.ts';

export function agentCapabilities(): string[] {
  return [
    'stream',
    ...sources.map(({ kind }) => `source:${kind}`),
    ...sinks.map(({ kind }) => `sink:${kind}`),
  ];
}
