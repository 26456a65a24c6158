/**
 * The keys that a schema knows at a place, for suggestions. Looks through what zod wraps around
 * objects; where several objects are possible, their keys together.
 */
import type { z } from 'zod';
import type { Path } from './path.ts';

type Def = z.core.$ZodTypeDef & {
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly options?: readonly z.ZodType[];
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly keyType?: z.ZodType;
  readonly entries?: Readonly<Record<string, unknown>>;
};

export function knownKeys(schema: z.ZodType, path: Path): string[] {
  const keys = branches(schema, path).flatMap((branch) => {
    const { shape, keyType } = defOf(branch);
    // A record whose keys are words of a list.
    const words = keyType === undefined ? undefined : defOf(keyType).entries;
    return Object.keys(shape ?? words ?? {});
  });
  return [...new Set(keys)];
}

function defOf(schema: z.ZodType): Def {
  return schema.def;
}

/** Every schema that may stand at `path`, unwrapped. */
function branches(schema: z.ZodType, path: Path): z.ZodType[] {
  const def = defOf(schema);
  const inner = [def.innerType, def.in, def.out, ...(def.options ?? [])].filter(
    (each) => each !== undefined,
  );
  if (inner.length > 0) return inner.flatMap((each) => branches(each, path));
  const [key, ...rest] = path;
  if (key === undefined) return [schema];
  const next = def.shape?.[key] ?? def.element ?? def.valueType;
  return next === undefined ? [] : branches(next, rest);
}
