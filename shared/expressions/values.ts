/**
 * Values at run time: what type they have, when they are equal, and the errors that name both the
 * piece of the expression and what was found. Errors are made out of line, so that the closures on
 * the path of a record stay small enough to be inlined.
 */
import { ExpressionError, type ValueType } from './expression.ts';

export type Values = Readonly<Record<string, unknown>>;

/** The word people know for a value's type. */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Uint8Array) return 'bytes';
  if (typeof value === 'object') return 'map';
  if (typeof value === 'boolean') return 'bool';
  return typeof value;
}

/** The static type of a value that is known at submit. */
export function typeOfConstant(value: unknown): ValueType {
  const name = typeName(value);
  return name === 'undefined' ? 'dyn' : (name as ValueType);
}

export function isMap(value: unknown): value is Values {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}

/** Throws `null_value` for null and `wrong_type` for the rest. `text` is a piece of the source. */
export function wrongType(value: unknown, text: string, wanted: string): never {
  if (value === null || value === undefined) {
    throw new ExpressionError('null_value', `${text} is null, where ${wanted} is needed`);
  }
  throw new ExpressionError(
    'wrong_type',
    `${text} is a ${typeName(value)}, where ${wanted} is needed`,
  );
}

export function failure(reason: string, message: string): never {
  throw new ExpressionError(reason, message);
}

/**
 * CEL's equality: values of different types are not equal, lists and maps are compared by content.
 * `visit` is called per element compared, so that a metered expression can charge for it.
 */
export function equals(left: unknown, right: unknown, visit?: () => void): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left === null || right === null) return false;
  visit?.();
  if (Array.isArray(left)) {
    return (
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item, index) => equals(item, right[index], visit))
    );
  }
  if (left instanceof Uint8Array) {
    return (
      right instanceof Uint8Array &&
      left.length === right.length &&
      left.every((byte, index) => byte === right[index])
    );
  }
  if (!isMap(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every(
      (key) => Object.hasOwn(right, key) && equals((left as Values)[key], right[key], visit),
    )
  );
}

/** Unicode code points, which is what CEL counts; most texts have no surrogates. */
export function codePoints(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0xd800 || unit > 0xdbff) continue;
    const next = text.charCodeAt(index + 1);
    if (next >= 0xdc00 && next <= 0xdfff) {
      count -= 1;
      index += 1;
    }
  }
  return count;
}
