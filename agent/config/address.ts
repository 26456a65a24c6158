/** Addresses as people write them in settings and on the command line. */
import { parsedText } from '@runnel/shared/definitions/strict.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:1883`, `[::1]:1883`, or undefined. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535) return undefined;
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}

export const hostPort = parsedText<HostPort>(
  (text) =>
    parseHostPort(text) ?? {
      problem: `"${text}" is no address to listen on`,
      hint: 'write HOST:PORT, for example 127.0.0.1:1883',
    },
  { description: 'Address to listen on.', examples: ['127.0.0.1:1883'] },
);
