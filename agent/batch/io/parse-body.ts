/** JSON that came from outside. */
import { isTooDeep } from '@runnel/shared/engine/json-depth.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { TaskError } from '../tasks/task-error.ts';

/** Throws `TaskError` of class `data`, naming where it is from. */
export function parseBody(bytes: Buffer, from: string): Json {
  // A byte order mark is not JSON, and some write one.
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '');
  if (isTooDeep(text)) {
    throw new TaskError('data', 'bad_json', `${from}: deeper than ${limits.jsonDepthMax} levels`);
  }
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw new TaskError('data', 'bad_json', `${from} gave no JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
