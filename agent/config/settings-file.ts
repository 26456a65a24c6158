/**
 * Reads a YAML settings file against a schema; every issue found is reported with the file, its
 * line and key, and for a key that does not exist the one that was probably meant.
 */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { parseAt } from '@runnel/shared/definitions/strict.ts';
import { readDocuments, withLocations } from '@runnel/shared/definitions/yaml-document.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';
import { isMissing } from './durable-file.ts';

/** Null when the file does not exist. Errors: `definition_invalid` with every issue. */
export async function readSettings<T extends z.ZodType>(
  path: string,
  schema: T,
): Promise<z.output<T> | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  try {
    return parseSettings(text, schema);
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    throw new DefinitionError(
      error.issues.map((issue) => ({ ...issue, path: `${path}: ${issue.path}` })),
    );
  }
}

export function parseSettings<T extends z.ZodType>(text: string, schema: T): z.output<T> {
  const [document, second] = readDocuments(text);
  if (second !== undefined) {
    throw new DefinitionError([{ path: '---', message: 'one document is needed, not several' }]);
  }
  const issues: DefinitionIssue[] = [];
  const parsed = parseAt(schema, document?.value ?? {}, [], issues);
  if (issues.length === 0 && parsed !== undefined) return parsed as z.output<T>;
  throw new DefinitionError(
    document === undefined ? issues : withLocations(issues, (path) => document.locate(path)),
  );
}
