/**
 * Durations, sizes and addresses as people write them in settings files.
 */
import { z } from 'zod';

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function amount(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match === null ? undefined : units[match[2] ?? ''];
  return unit === undefined ? undefined : Math.round(Number(match?.[1]) * unit);
}

/** `64MiB`, `1GB`, or a number of bytes → bytes. */
export const size = z
  .union([z.number().int().positive(), z.string()])
  .transform((value, context) => {
    const bytes = typeof value === 'number' ? value : amount(value, SIZE_UNITS);
    if (bytes !== undefined && bytes > 0) return bytes;
    context.addIssue({ code: 'custom', message: 'expected a size such as 64MiB or 1GiB' });
    return z.NEVER;
  });

/** `10s`, `5m` → milliseconds. */
export const duration = z.string().transform((value, context) => {
  const ms = amount(value, DURATION_UNITS);
  if (ms !== undefined && ms > 0) return ms;
  context.addIssue({ code: 'custom', message: 'expected a duration such as 10s or 5m' });
  return z.NEVER;
});

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

export const hostPort = z.string().transform((value, context) => {
  const parsed = parseHostPort(value);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'expected HOST:PORT such as 127.0.0.1:1883' });
  return z.NEVER;
});
