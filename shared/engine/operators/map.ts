/**
 * Makes other fields out of a record's fields.
 *
 * `select` picks what stays, `derive` adds, `rename` and `drop` work on what is then there, in this
 * order whatever the order in the document. Every expression sees the record as it came in. Event
 * time, key, window and revision stay, and a retraction passes as it is. A record without a
 * selected field, or whose payload is no object where fields are needed, goes to the dead letters.
 */
import { z } from 'zod';
import { strict } from '../../definitions/strict.ts';
import { ExpressionError, type Expression } from '../../expressions/expression.ts';
import type { Shape, ValueType } from '../../expressions/expression.ts';
import { type EngineRecord, isRetraction } from '../record.ts';
import { defineOperator, type CompileContext, type OperatorInstance } from './operator.ts';
import type { OperatorRuntime } from './operator.ts';

const fieldName = z
  .string()
  .min(1)
  .max(128)
  .refine((name) => name !== '__proto__', 'is no name for a field');
const expressions = z.record(fieldName, z.string());

const mapField = strict({
  select: z
    .union([z.array(fieldName).min(1), expressions], {
      error: 'must be a list of fields or a map from field to expression',
    })
    .optional()
    .describe('Fields that stay: a list, or new fields from expressions. Default: all.'),
  derive: expressions
    .optional()
    .describe('Fields to add, from expressions. Example: `{ kw: "payload.w / 1000" }`.'),
  rename: z
    .record(fieldName, fieldName)
    .optional()
    .describe('Old name to new name; a field that is absent stays absent.'),
  drop: z.array(fieldName).optional().describe('Fields to remove.'),
}).refine((map) => Object.keys(map).length > 0, 'needs one of select, derive, rename, drop');

type MapConfig = z.output<typeof mapField>;
type Fields = Record<string, unknown>;

export const map = defineOperator({
  name: 'map',
  summary: 'Selects, derives, renames and drops fields.',
  guarantees: [
    'Applied in the order select, derive, rename, drop; expressions see the record as it came in.',
    'Time, key, window and revision stay as they are.',
    'A selected field that is missing sends the record to the dead letters.',
  ],
  shape: { map: mapField.describe('What to make of a record.') },
  examples: [
    {
      title: 'Kilowatts instead of watts',
      step: 'map: { derive: { kw: "payload.w / 1000" }, drop: [w], rename: { id: meter } }',
      input: [{ time: 5, payload: { id: 'a', w: 1500 } }],
      output: [{ output: 'map', key: null, time: 5, value: { meter: 'a', kw: 1.5 } }],
    },
    {
      title: 'An object out of a plain number',
      step: 'map: { select: { celsius: "payload", sensor: "topic" } }',
      input: [{ time: 5, topic: 'hall/t1', payload: 21.5 }],
      output: [{ value: { celsius: 21.5, sensor: 'hall/t1' } }],
    },
  ],
  compile(step, context) {
    const plan = compileMap(step.map, context);
    return {
      output: shapeAfter(step.map, plan, context.input),
      stateFingerprint: '',
      stateVersion: 0,
      create: (runtime) => new FieldMap(plan, runtime),
    };
  },
});

interface MapPlan {
  readonly pick: readonly string[] | undefined;
  readonly select: readonly [string, Expression][] | undefined;
  readonly derive: readonly [string, Expression][];
  readonly rename: readonly [string, string][];
  readonly drop: readonly string[];
}

function compileMap(config: MapConfig, context: CompileContext): MapPlan {
  const compiled = (
    part: 'select' | 'derive',
    sources: Readonly<Record<string, string>>,
  ): [string, Expression][] =>
    Object.entries(sources).map(([name, source]) => [
      name,
      context.expression(source, ['map', part, name]),
    ]);
  const { select } = config;
  return {
    pick: Array.isArray(select) ? select : undefined,
    select: select === undefined || Array.isArray(select) ? undefined : compiled('select', select),
    derive: compiled('derive', config.derive ?? {}),
    rename: Object.entries(config.rename ?? {}),
    drop: config.drop ?? [],
  };
}

/** What steps after it know: the columns of a row; of a payload nothing, as before. */
function shapeAfter(config: MapConfig, plan: MapPlan, input: Shape): Shape {
  if (input.kind === 'record') return input;
  let columns: Record<string, ValueType> = { ...input.columns };
  if (plan.pick !== undefined) {
    columns = Object.fromEntries(plan.pick.map((name) => [name, input.columns[name] ?? 'dyn']));
  }
  if (plan.select !== undefined) columns = {};
  for (const [name, { type }] of [...(plan.select ?? []), ...plan.derive]) columns[name] = type;
  for (const [from, to] of plan.rename) {
    const type = columns[from];
    if (type === undefined) continue;
    delete columns[from];
    columns[to] = type;
  }
  for (const name of config.drop ?? []) delete columns[name];
  return { kind: 'row', columns };
}

class FieldMap implements OperatorInstance {
  private readonly plan: MapPlan;
  private readonly runtime: OperatorRuntime;

  constructor(plan: MapPlan, runtime: OperatorRuntime) {
    this.plan = plan;
    this.runtime = runtime;
  }

  process(record: EngineRecord): void {
    if (isRetraction(record)) {
      this.runtime.emit(record);
      return;
    }
    this.runtime.emit({
      time: record.time,
      payload: this.fieldsOf(record),
      topic: record.topic,
      meta: record.meta,
      key: record.key,
      windowStart: record.windowStart,
      windowEnd: record.windowEnd,
      revision: record.revision,
    });
  }

  private fieldsOf(record: EngineRecord): Fields {
    const { plan } = this;
    const fields = this.selected(record);
    for (const [name, expression] of plan.derive) fields[name] = expression.evaluate(record);
    if (plan.rename.length > 0) renameFields(fields, plan.rename);
    for (const name of plan.drop) delete fields[name];
    return fields;
  }

  private selected(record: EngineRecord): Fields {
    const { pick, select } = this.plan;
    const fields: Fields = {};
    if (select !== undefined) {
      for (const [name, expression] of select) fields[name] = expression.evaluate(record);
      return fields;
    }
    const { payload } = record;
    if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
      throw new ExpressionError('wrong_type', 'the payload is no object, so it has no fields');
    }
    if (pick === undefined) return Object.assign(fields, payload);
    for (const name of pick) {
      if (!Object.hasOwn(payload, name)) {
        throw new ExpressionError('missing_key', `the payload has no field "${name}"`);
      }
      fields[name] = (payload as Fields)[name];
    }
    return fields;
  }
}

/** All old names are taken out before the new ones are set, so that two fields can be swapped. */
function renameFields(fields: Fields, names: readonly [string, string][]): void {
  const moved: [string, unknown][] = [];
  for (const [from, to] of names) {
    if (!Object.hasOwn(fields, from)) continue;
    moved.push([to, fields[from]]);
    delete fields[from];
  }
  for (const [to, value] of moved) fields[to] = value;
}
