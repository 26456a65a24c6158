/**
 * What a kind of source declares, and what every source of a job has beside its connector.
 */
import { z } from 'zod';
import type { DurationMs } from '../ids.ts';
import { duration, positiveDuration } from './duration.ts';
import type { Fields } from './strict.ts';

export interface ComponentExample {
  readonly title: string;
  /** The component as YAML, as it stands in a job. */
  readonly yaml: string;
}

/** The definition of a kind of source; its connector is the agent's. */
export interface SourceSpec {
  /** The YAML key that names it. */
  readonly kind: string;
  readonly summary: string;
  readonly guarantees: readonly string[];
  /** What `payload`, `topic` and `meta` hold. */
  readonly record: string;
  readonly fields: Fields;
  /** What fields say together: the field at fault and what is wrong. */
  readonly problem?: (config: never) => readonly [field: string, message: string] | undefined;
  readonly examples: readonly ComponentExample[];
}

/** Ties the check to the fields. */
export function defineSource<const Shape extends Fields>(
  spec: Omit<SourceSpec, 'fields' | 'problem'> & {
    readonly fields: Shape;
    readonly problem?: (config: {
      readonly [Key in keyof Shape]: z.output<Shape[Key]>;
    }) => readonly [field: string, message: string] | undefined;
  },
): Omit<SourceSpec, 'fields'> & { readonly fields: Shape } {
  return spec;
}

/** The config of a source, with the defaults filled in. */
export type ConfigOf<Spec extends { readonly fields: Fields }> = z.output<
  z.ZodObject<Spec['fields']>
>;

/** Dropping at the door is left to the broker, which knows what can be spared. */
export const OVERFLOW = ['block'] as const;
export type Overflow = (typeof OVERFLOW)[number];
export const CODECS = ['json', 'text', 'bytes'] as const;
export type Codec = (typeof CODECS)[number];
export const WATERMARKS_PER = ['source', 'topic', 'key'] as const;
export type WatermarkPer = (typeof WATERMARKS_PER)[number];

/** Beside the connector, on every source. */
export const commonSourceFields = {
  time: z
    .string()
    .optional()
    .describe(
      'Event time: an expression that gives epoch milliseconds or an ISO 8601 text. ' +
        'Default: when the record arrived. Example: `payload.ts`.',
    ),
  maxOutOfOrderness: duration
    .prefault('0s')
    .describe('How far behind the latest event time a record may come. Example: `5s`.'),
  maxAhead: positiveDuration
    .prefault('1h')
    .describe(
      'A record whose event time is further ahead of its arrival is quarantined and moves no ' +
        'watermark. Example: `10m`.',
    ),
  idleTimeout: positiveDuration
    .optional()
    .describe(
      'A source, or topic, that is silent for so long holds the watermark back no longer. ' +
        'Default: off. Example: `1m`.',
    ),
  watermarkPer: z
    .enum(WATERMARKS_PER)
    .default('source')
    .describe('Whose event time advances together: the source, each topic, or each key.'),
  identity: z
    .string()
    .optional()
    .describe(
      'Expression that tells duplicates made by publishers: a second record with the same value ' +
        'within `identityWindow` is dropped. Default: off. Example: `payload.id`.',
    ),
  identityWindow: positiveDuration
    .prefault('10m')
    .describe('How long an identity is remembered. Example: `1h`.'),
  codec: z.enum(CODECS).default('json').describe('What the payload is decoded as.'),
  overflow: z
    .enum(OVERFLOW)
    .default('block')
    .describe(
      'What happens when records come faster than they are committed. block: the device stops ' +
        'reading, and the origin keeps them.',
    ),
};

export interface SourceCommon {
  /** The job's own name for it. */
  readonly alias: string;
  /** Hash of kind and connector settings: sources with the same one are one source. */
  readonly connectorFingerprint: string;
  /** CEL, or null: the arrival. */
  readonly time: string | null;
  readonly maxOutOfOrderness: DurationMs;
  readonly maxAhead: DurationMs;
  readonly idleTimeout: DurationMs | null;
  readonly watermarkPer: WatermarkPer;
  /** CEL, or null: off. */
  readonly identity: string | null;
  readonly identityWindow: DurationMs;
  readonly codec: Codec;
  readonly overflow: Overflow;
}
