/**
 * What an operator is: one file, one test, one line in registry.ts (STYLE.md 5).
 *
 * An operator declares its YAML keys as a zod shape (every field described, with default, unit and
 * example), checks and compiles its configuration once (`compile`), and makes an instance per
 * running job (`create`). Instances are synchronous and pure: what they know comes from the records
 * they get, `now` and watermark they are told, and their keyed state.
 */
import type { z } from 'zod';
import type { Expression, Shape, ValueType } from '../../expressions/expression.ts';
import type { EpochMs } from '../../ids.ts';
import type { EngineRecord, Json } from '../record.ts';
import type { KeyedState } from '../state.ts';

export interface OperatorExample {
  readonly title: string;
  /** The step as YAML. */
  readonly step: string;
  /** Records (`time`, `payload`, optional `topic`), or `{ watermark }`, `{ now }`. */
  readonly input: readonly Json[];
  /** The output lines' `key`, `time`, `value`, … as far as given. */
  readonly output: readonly Json[];
}

/** Handed to `compile`: reports issues by path and compiles expressions against the input shape. */
export interface CompileContext {
  readonly stepId: string;
  readonly input: Shape;
  /** Whether the input holds revisions and retractions of earlier records (windows in lateness). */
  readonly inputRevises: boolean;
  /** Whether a source of this step has `watermarkPer: key`. */
  readonly inputPerKey: boolean;
  /** Effective parameters; `params.x` compiles to the value. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /**
   * Compiles the expression found at `path` below the step. A failure is recorded as an issue of
   * the document, and an expression that always throws is returned, so that one pass finds all.
   */
  expression(
    source: string,
    path: readonly (string | number)[],
    options?: { readonly expects?: ValueType; readonly shape?: Shape },
  ): Expression;
  issue(path: readonly (string | number)[], message: string, hint?: string): void;
}

/** Handed to `create`. */
export interface OperatorRuntime {
  readonly stepId: string;
  emit(record: EngineRecord): void;
  /** A late record goes here once; it is counted by the engine. */
  late(record: EngineRecord): void;
  /** Counts a record dropped by a bound. */
  dropped(reason: string): void;
  state<S>(version: number): KeyedState<S>;
  /** The largest `now` seen. */
  nowMs(): EpochMs;
  /**
   * Event-time watermark of this step's input (the key's own with `watermarkPer: key`), as it was
   * before the record that is being processed.
   */
  watermarkMs(key?: string): EpochMs | undefined;
  /** `key`: the step keeps a watermark per key of its own, from `recordWatermarkMs`. */
  readonly watermarkPer: 'source' | 'key';
  /** The watermark that the source record being processed makes: time − out-of-orderness − 1. */
  recordWatermarkMs(): EpochMs;
  /** After which a key is idle, with `watermarkPer: key`; Infinity when never. */
  readonly idleTimeoutMs: number;
}

export interface OperatorInstance {
  /** An `ExpressionError` sends the record to the dead letters; state must not have changed yet. */
  process(record: EngineRecord): void;
  /** Event time advanced: fire what is due. `key` only with `watermarkPer: key`. */
  watermark?(watermarkMs: EpochMs, key?: string): void;
  /** `now` advanced: absence, idleness, early triggers. */
  now?(nowMs: EpochMs): void;
  /** The earliest `now` this operator waits for. */
  nextNowMs?(): EpochMs | undefined;
  /** The earliest watermark this operator waits for; lets the engine skip calls. */
  nextWatermarkMs?(): EpochMs | undefined;
  /** End of input: event time is moved to the end of every open window. */
  flushToMs?(): EpochMs | undefined;
}

export interface CompiledOperator {
  /** What the steps after it see. */
  readonly output: Shape;
  /** Whether it emits revisions and retractions; absent: when its input does. */
  readonly revises?: boolean;
  /** A fingerprint of the fields that shape the state; a change means incompatible state. */
  readonly stateFingerprint: string;
  /** 0 when it keeps no state. */
  readonly stateVersion: number;
  create(runtime: OperatorRuntime): OperatorInstance;
}

export interface OperatorSpec<Step = never> {
  /** The YAML key that names it. */
  readonly name: string;
  readonly summary: string;
  /** What it guarantees, refuses and bounds; printed in the reference. */
  readonly guarantees: readonly string[];
  /** The step's own keys: `name` and any beside it (`window` has `aggregate`). */
  readonly shape: Readonly<Record<string, z.ZodType>>;
  readonly examples: readonly OperatorExample[];
  compile(step: Step, context: CompileContext): CompiledOperator;
}

/** The type-erased form that the registry holds. */
export type AnyOperator = OperatorSpec<never>;

/** Ties the step's type to its schema. */
export function defineOperator<const Shape extends Readonly<Record<string, z.ZodType>>>(
  spec: Omit<OperatorSpec, 'shape' | 'compile'> & {
    readonly shape: Shape;
    compile(
      step: { readonly [Key in keyof Shape]: z.output<Shape[Key]> },
      context: CompileContext,
    ): CompiledOperator;
  },
): AnyOperator {
  return spec;
}
