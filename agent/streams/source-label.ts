/**
 * What a source reads, in the words of its job: people know a topic or a path, not a fingerprint.
 * One line, bounded, and never a secret: a broker's URL holds no credentials.
 */
import type { SourceConnector } from '@runnel/shared/definitions/sources/registry.ts';
import { durationText } from '@runnel/shared/expressions/duration-text.ts';

const LABEL_CHARS_MAX = 200;

export function sourceLabel(connector: SourceConnector): string {
  const text = wordsFor(connector).replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
  return text.length <= LABEL_CHARS_MAX ? text : `${text.slice(0, LABEL_CHARS_MAX - 1)}…`;
}

function wordsFor({ kind, config }: SourceConnector): string {
  switch (kind) {
    case 'mqtt':
      return config.url === undefined
        ? config.topic
        : `${config.topic} at ${new URL(config.url).host}`;
    case 'file':
      return config.path;
    case 'host':
      return `this device, every ${durationText(config.every)}`;
  }
}
