/**
 * YAML or JSON text to plain values, with the line and column of everything in it.
 *
 * Bounded: size of the text, depth, and how far aliases may expand it (a "billion laughs" document
 * is refused). What JSON cannot hold (NaN, infinities, tags of one's own, keys that are no texts)
 * is an issue, because a document must mean the same everywhere.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type ParsedNode,
} from 'yaml';
import type { Json } from '../engine/record.ts';
import { DefinitionError, type DefinitionIssue, messageOf } from '../errors.ts';
import { limits } from '../limits.ts';
import { type Path, parsePath, pathText } from './path.ts';

export interface Position {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export interface TextDocument {
  readonly value: Json;
  /** This document's own text, without the others of a stream. */
  readonly text: string;
  /** Line of the file at which `text` begins, from 1. */
  readonly firstLine: number;
  /** Position of a key (or of a list's element) in the file; of what is around it when absent. */
  locate(path: Path): Position | undefined;
}

const DEPTH_MAX = 64;
const ALIASES_MAX = 100;
const DOCUMENTS_MAX = 1000;
/** After a syntax error the next ones are mostly its echo. */
const SYNTAX_ISSUES_MAX = 5;

/** Every document of a YAML stream that is not empty. Throws `DefinitionError`. */
export function readDocuments(text: string): TextDocument[] {
  if (new TextEncoder().encode(text).length > limits.definitionBytesMax) {
    throw new DefinitionError([
      { path: '(document)', message: `is larger than ${limits.definitionBytesMax / 1024} KiB` },
    ]);
  }
  const lines = new LineCounter();
  const documents = parseYaml(text, lines);
  const issues = documents.flatMap((document) => syntaxIssues(document, lines));
  if (documents.length > DOCUMENTS_MAX) {
    issues.push({ path: '(document)', message: `holds more than ${DOCUMENTS_MAX} documents` });
  }
  if (issues.length > 0) throw new DefinitionError(issues);
  return documents
    .filter((document) => document.contents !== null && !isEmpty(document))
    .map((document) => textDocument(document, text, lines));
}

function parseYaml(text: string, lines: LineCounter): Document.Parsed[] {
  try {
    const documents = parseAllDocuments(text, { lineCounter: lines, stringKeys: true });
    return 'empty' in documents ? [] : documents;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new DefinitionError([{ path: '(document)', message: 'is nested too deeply' }]);
  }
}

function isEmpty(document: Document.Parsed): boolean {
  return isScalar(document.contents) && document.contents.value === null;
}

function syntaxIssues(document: Document.Parsed, lines: LineCounter): DefinitionIssue[] {
  const errors = [...document.errors, ...document.warnings];
  // The parser recurses; where it ran out of stack what follows means nothing.
  if (errors.some((error) => error.message.startsWith('Maximum call stack'))) {
    return [{ path: '(document)', message: 'is nested too deeply' }];
  }
  return errors.slice(0, SYNTAX_ISSUES_MAX).map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    const [message = ''] = error.message.split(/ at line \d+/);
    return { path: '(document)', message: message.trim(), line, column: col };
  });
}

function textDocument(document: Document.Parsed, text: string, lines: LineCounter): TextDocument {
  const [start, , end] = document.range;
  const contents = document.contents as ParsedNode;
  const locate = (path: Path): Position | undefined => {
    const offset = offsetOf(contents, path);
    const position = lines.linePos(offset);
    return position.line === 0 ? undefined : { line: position.line, column: position.col };
  };
  checkTree(contents, locate);
  const value = plainValue(document);
  const own = text.slice(start, end);
  return { value, text: own, firstLine: Math.max(1, lines.linePos(start).line), locate };
}

function plainValue(document: Document.Parsed): Json {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX }) as Json;
  } catch (error) {
    throw new DefinitionError([{ path: '(document)', message: messageOf(error) }]);
  }
}

/** Where the key at the end of `path` begins, or the nearest thing around it. */
function offsetOf(root: ParsedNode, path: Path): number {
  let node: Node | null | undefined = root;
  let offset = root.range[0];
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair === undefined) break;
      offset = (pair.key as ParsedNode).range[0];
      node = pair.value as Node | null;
    } else if (isSeq(node) && typeof key === 'number') {
      const item = node.items[key] as ParsedNode | undefined;
      if (item === undefined) break;
      offset = item.range[0];
      node = item;
    } else break;
  }
  return offset;
}

/** Depth, and what JSON cannot hold. */
function checkTree(root: ParsedNode, locate: (path: Path) => Position | undefined): void {
  const issues: DefinitionIssue[] = [];
  const visit = (node: unknown, path: Path): void => {
    if (path.length > DEPTH_MAX) {
      if (issues.length === 0) issues.push(located(path, 'is nested too deeply', locate));
      return;
    }
    if (isScalar(node)) {
      const { value } = node;
      if (typeof value === 'number' && !Number.isFinite(value)) {
        issues.push(located(path, `${value} cannot stand in a document`, locate));
      } else if (typeof value === 'bigint') {
        issues.push(located(path, 'is too large a number', locate));
      }
    } else if (isMap(node)) {
      for (const { key, value } of node.items) {
        visit(value, [...path, isScalar(key) ? String(key.value) : '?']);
      }
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) visit(item, [...path, index]);
    } else if (node !== null && !isAlias(node)) {
      issues.push(located(path, 'cannot stand in a document', locate));
    }
  };
  visit(root, []);
  if (issues.length > 0) throw new DefinitionError(issues);
}

function located(
  path: Path,
  message: string,
  locate: (path: Path) => Position | undefined,
): DefinitionIssue {
  return { path: pathText(path), message, ...locate(path) };
}

/**
 * The issues in the order of the document, with line and column where it knows them and they have
 * none yet.
 */
export function withLocations(
  issues: readonly DefinitionIssue[],
  locate: (path: Path) => Position | undefined,
): DefinitionIssue[] {
  return issues
    .map((issue) =>
      issue.line === undefined ? { ...issue, ...locate(parsePath(issue.path)) } : issue,
    )
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}
