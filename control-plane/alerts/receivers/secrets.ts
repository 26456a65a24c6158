/**
 * Secrets of receivers: kept where the control plane runs and named here (`env`, `file`), or given
 * as they are and kept in the store, which only its own account can read. The API never shows one.
 *
 * Only variables that begin with `RUNNEL_SECRET_`, and files in `secrets/` of the data directory,
 * can be named: who may set receivers could otherwise have any file of this machine sent away.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@runnel/shared/errors.ts';
import { z } from 'zod';
import { failed } from './post.ts';

const ENV = /^RUNNEL_SECRET_[A-Z0-9_]{1,64}$/;
const FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export const secretValue = z.union(
  [
    z.string().min(1).max(4096),
    z.strictObject({ env: z.string().regex(ENV) }),
    z.strictObject({ file: z.string().regex(FILE) }),
  ],
  { error: 'a text, { "env": "RUNNEL_SECRET_…" }, or { "file": "NAME" } for DATA/secrets/NAME' },
);
export type SecretValue = z.infer<typeof secretValue>;

export interface SecretPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `secrets/` of the data directory. */
  readonly folder: string;
}

/** As the API shows it. */
export function secretOrigin(value: SecretValue): string {
  if (typeof value === 'string') return 'stored';
  return 'env' in value ? `env ${value.env}` : `file ${value.file}`;
}

/** Error: `receiver_failed`. */
export async function readSecret(value: SecretValue, place: SecretPlace): Promise<string> {
  if (typeof value === 'string') return value;
  if ('env' in value) {
    const text = place.env[value.env];
    if (text !== undefined && text !== '') return text;
    throw failed(`the variable ${value.env} is not set for the control plane`, 'never');
  }
  try {
    return (await readFile(join(place.folder, value.file), 'utf8')).trim();
  } catch (error) {
    throw failed(`cannot read the secret ${value.file}: ${messageOf(error)}`, 'never', error);
  }
}
