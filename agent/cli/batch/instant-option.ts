/** `--at`: an instant as people write it. */
import { RunnelError } from '@runnel/shared/errors.ts';

/** With a zone, a date alone, or in UTC. */
const ISO =
  /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(Z|[+-]\d{2}:?\d{2})?)?$/i;

/** Epoch ms of an ISO 8601 instant (without a zone: UTC) or of epoch ms. */
export function instantOf(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const found = ISO.exec(text);
  if (found === null) return undefined;
  const hasZone = found[1] !== undefined || !/[T ]/i.test(text);
  const parsed = Date.parse(hasZone ? text : `${text}Z`);
  return Number.isFinite(parsed) ? parsed : undefined;
}

/** Throws `usage`. */
export function instantOption(option: string, text: string): number {
  const instant = instantOf(text);
  if (instant !== undefined) return instant;
  throw new RunnelError('usage', `${option} ${text} is no time`, {
    hint: 'Write ISO 8601, for example 2026-11-23T00:15:00Z, or epoch milliseconds.',
  });
}
