/**
 * Where a task takes its rows from: a task before it, the journal of a source, or a dataset.
 */
import { z } from 'zod';
import { NAME } from '../ids.ts';
import { withHint } from './strict.ts';

const NAME_HINT = 'small letters, digits and dashes, at most 63';
const SOURCE = new RegExp(`^(?:${NAME.source.slice(1, -1)}/)?${NAME.source.slice(1, -1)}$`);

export const taskField = z
  .string()
  .regex(NAME, { error: withHint('is no id of a task', NAME_HINT) });

export const datasetField = z.string().regex(NAME, { error: withHint('is no name', NAME_HINT) });

export const journalField = z
  .string()
  .regex(SOURCE, { error: withHint('is no source', 'an alias, or job/alias') });

export const columnField = z.string().min(1).max(256);

/** One column or several. */
export const columnsField = z.union([columnField, z.array(columnField).min(1).max(32)], {
  error: 'must be a column or a list of columns',
});

/** Issue of `problem` unless exactly one of the fields is there. */
export function exactlyOne(
  config: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): readonly [field: string, message: string] | undefined {
  const given = fields.filter((field) => config[field] !== undefined);
  if (given.length === 1) return undefined;
  const all = fields.join(', ');
  if (given.length === 0) return [fields[0]!, `is missing: one of ${all} is needed`];
  return [given[1]!, `stands beside ${given[0]!}: only one of ${all}`];
}
