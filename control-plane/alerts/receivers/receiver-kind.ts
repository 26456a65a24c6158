/** What a kind of receiver is: its settings, its secrets, and how it sends. */
import { durationOf } from '@runnel/shared/expressions/duration-text.ts';
import { z } from 'zod';
import type { Message } from './message.ts';

export interface Sending<S> {
  readonly message: Message;
  readonly settings: S;
  /** Those that are set, read a moment ago. */
  readonly secrets: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

interface KindDefinition<T extends z.ZodType> {
  readonly settings: T;
  /** Names of secrets that it knows; `url` stands for the setting, where that is one. */
  readonly secrets: readonly string[];
  /** Times where the settings name none. */
  readonly times: ReceiverTimes;
  /** Whether one message may tell of more alerts than it lists. */
  readonly tellsAll: boolean;
  /** Rejects with `receiver_failed`. */
  send(sending: Sending<z.output<T>>): Promise<void>;
}

export interface ReceiverTimes {
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatMs: number;
}

/** A kind that parses its own settings. */
export type ReceiverKindOf = Omit<KindDefinition<z.ZodType>, 'send'> & {
  send(sending: Sending<unknown>): Promise<void>;
};

export function defineReceiver<T extends z.ZodType>(kind: KindDefinition<T>): ReceiverKindOf {
  return {
    ...kind,
    send: (sending) => kind.send({ ...sending, settings: kind.settings.parse(sending.settings) }),
  };
}

export const TIMES: ReceiverTimes = {
  groupWaitMs: 15_000,
  groupIntervalMs: 60_000,
  repeatMs: 4 * 3_600_000,
};

const REPEAT_MS_MIN = 60_000;

const duration = z
  .string()
  .refine((text) => (durationOf(text) ?? -1) >= 0, { error: 'a duration, for example 30s' });

/** Settings that every kind has. */
export const timeSettings = {
  groupWait: duration.optional(),
  groupInterval: duration.optional(),
  repeat: duration
    .refine((text) => (durationOf(text) ?? 0) >= REPEAT_MS_MIN, { error: 'at least 1m' })
    .optional(),
};

export const urlSetting = z.url({ protocol: /^https?$/, error: 'an http or https address' });

/** PEM text of a private CA. */
export const caSetting = z.string().max(65_536).includes('-----BEGIN CERTIFICATE-----').optional();

const shape = z.object(timeSettings);

export function timesOf(initial: ReceiverTimes, settings: unknown): ReceiverTimes {
  const { groupWait, groupInterval, repeat } = shape.parse(settings);
  const ms = (text: string | undefined, otherwise: number): number =>
    text === undefined ? otherwise : (durationOf(text) ?? otherwise);
  return {
    groupWaitMs: ms(groupWait, initial.groupWaitMs),
    groupIntervalMs: ms(groupInterval, initial.groupIntervalMs),
    repeatMs: ms(repeat, initial.repeatMs),
  };
}
