/**
 * Reads a YAML settings file against a schema; every issue found is reported with its line, its
 * path in the file, and for a key that does not exist the one that was probably meant.
 */
import { readFile } from 'node:fs/promises';
import { isMap, isNode, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { parsePath } from '@runnel/shared/definitions/path.ts';
import { parseAt } from '@runnel/shared/definitions/strict.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';
import { isMissing } from './durable-file.ts';

const SETTINGS_BYTES_MAX = 256 * 1024;

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
  return parseSettings(path, text, schema);
}

export function parseSettings<T extends z.ZodType>(
  path: string,
  text: string,
  schema: T,
): z.output<T> {
  if (text.length > SETTINGS_BYTES_MAX) {
    throw new DefinitionError([{ path, message: `larger than ${SETTINGS_BYTES_MAX} bytes` }]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new DefinitionError(
      document.errors.map((error) => ({
        path,
        message: error.message.split('\n')[0] ?? error.message,
        line: error.linePos?.[0].line ?? 1,
        column: error.linePos?.[0].col ?? 1,
      })),
    );
  }
  const issues: DefinitionIssue[] = [];
  const parsed = parseAt(schema, document.toJS({ maxAliasCount: 100 }) ?? {}, [], issues);
  if (issues.length === 0 && parsed !== undefined) return parsed as z.output<T>;
  throw new DefinitionError(issues.map((issue) => placed(path, document, lines, issue)));
}

function placed(
  file: string,
  document: Document,
  lines: LineCounter,
  issue: DefinitionIssue,
): DefinitionIssue {
  const keys = parsePath(issue.path);
  const named = { ...issue, path: keys.length === 0 ? file : `${file}: ${issue.path}` };
  // A missing key has no place of its own: the nearest thing around it has.
  for (let length = keys.length; length >= 0; length--) {
    const start = offsetOf(document, keys.slice(0, length));
    if (start === undefined) continue;
    const { line, col } = lines.linePos(start);
    return { ...named, line, column: col };
  }
  return named;
}

/** Where a key stands, rather than its value: that is the line a person looks for. */
function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  if (path.length > 0 && isMap(parent)) {
    const pair = parent.items.find((item) => String(item.key) === String(path.at(-1)));
    if (pair !== undefined && isNode(pair.key)) return pair.key.range?.[0];
  }
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}
