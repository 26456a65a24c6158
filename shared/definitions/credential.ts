/**
 * Secrets by reference only: `{ env: NAME }` or `{ file: PATH }`, both on the device. A secret
 * written into a document would be stored, versioned and shown; it is refused with that reason.
 */
import { z } from 'zod';
import { strict, withHint } from './strict.ts';

/** Where a secret is on the device. */
export type CredentialRef = { readonly env: string } | { readonly file: string };

const HINT = 'keep it on the device and write { env: NAME } or { file: PATH }';

const fields = strict({
  env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of an environment variable')
    .optional()
    .describe(
      'Environment variable of the agent. policy.yaml on the device says which ones a job may ' +
        'use; by default those whose names begin with RUNNEL_SECRET_.',
    ),
  file: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('File on the device; a trailing line end is left out.'),
});

export const credential: z.ZodType<CredentialRef, unknown> = z
  .preprocess((value, context) => {
    if (typeof value !== 'string') return value;
    context.issues.push({
      code: 'custom',
      input: value,
      message: withHint('a secret must not stand in a document', HINT),
    });
    return z.NEVER;
  }, fields)
  .transform((value, context): CredentialRef => {
    if (value.env !== undefined && value.file === undefined) return { env: value.env };
    if (value.file !== undefined && value.env === undefined) return { file: value.file };
    context.issues.push({
      code: 'custom',
      input: value,
      message: withHint('needs one of env and file', HINT),
    });
    return z.NEVER;
  });
