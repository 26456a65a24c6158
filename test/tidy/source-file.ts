/**
 * A source file as the tidy rules see it: its text, its syntax tree, and what it imports.
 */
import { posix } from 'node:path';
import { parseAst } from 'rolldown/parseAst';

export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Import {
  /** Resolved path from the repository's root, or the bare specifier (`node:fs`, `zod`). */
  readonly target: string;
  /** Erased at build: it ties nothing together at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly program: Node;
  readonly imports: readonly Import[];
}

export interface Offence {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export function sourceFile(path: string, text: string): SourceFile {
  const lang = path.endsWith('x') ? 'tsx' : 'ts';
  const program = parseAst(text, { lang }, path) as unknown as Node;
  return { path, text, lines: text.split('\n'), program, imports: importsOf(path, text, program) };
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let index = 0; index < offset; index += 1) if (text.charCodeAt(index) === 10) line += 1;
  return line;
}

/** Calls `visit` for every node, parents first. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void): void {
  const parents: Node[] = [];
  const step = (at: Node): void => {
    visit(at, parents);
    parents.push(at);
    for (const value of Object.values(at)) {
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) step(child);
    }
    parents.pop();
  };
  step(node);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

function importsOf(path: string, text: string, program: Node): Import[] {
  const imports: Import[] = [];
  walk(program, (node) => {
    const source = node.source;
    if (!isNode(source) || typeof source.value !== 'string') return;
    imports.push({
      target: resolve(path, source.value),
      typeOnly: isTypeOnly(node),
      line: lineAt(text, node.start),
    });
  });
  return imports;
}

function isTypeOnly(node: Node): boolean {
  if (node.importKind === 'type' || node.exportKind === 'type') return true;
  const specifiers = node.specifiers;
  if (!Array.isArray(specifiers) || specifiers.length === 0) return false;
  return specifiers.every((specifier: Node) => specifier.importKind === 'type');
}

function resolve(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier);
  const workspace = /^@runnel\/(shared|agent|control-plane)\/(.+)$/.exec(specifier);
  return workspace === null ? specifier : `${workspace[1]}/${workspace[2]}`;
}
