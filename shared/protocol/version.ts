/**
 * Every message carries `v`. A release reads N and N-1 and refuses newer ones with a clear error.
 */
import { z } from 'zod';
import { RunnelError } from '../errors.ts';

export const PROTOCOL_VERSION = 1;

export const versionField = z.literal(PROTOCOL_VERSION);

/** Parses one message of the wire; errors: `protocol_version` (newer than ours), `protocol`. */
export function parseMessage<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const version = (value as { v?: unknown } | null)?.v;
  if (typeof version === 'number' && version > PROTOCOL_VERSION) {
    throw new RunnelError(
      'protocol_version',
      `message of protocol ${version}; this release reads up to ${PROTOCOL_VERSION}`,
      {
        hint: 'update this side first',
      },
    );
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RunnelError('protocol', z.prettifyError(parsed.error));
}
