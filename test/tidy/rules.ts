/**
 * Style as a test (STYLE.md 2): each rule is a function from all source files to offences.
 * test/tidy.test.ts runs them over the tree, and over planted offenders to prove that they bite.
 */
import { boundaryRules } from './boundary-rules.ts';
import { callRules } from './call-rules.ts';
import { type Node, type Offence, type SourceFile, lineAt, walk } from './source-file.ts';

export type Rule = (files: ReadonlyMap<string, SourceFile>) => Offence[];

const FILE_LINES_MAX = 400;
const LINE_COLUMNS_MAX = 100;
const FUNCTION_LINES_MAX = 70;

/** Applies `check` to each file alone. */
function perFile(rule: string, check: (file: SourceFile) => [number, string][]): Rule {
  return (files) =>
    [...files.values()].flatMap((file) =>
      check(file).map(([line, message]) => ({ rule, path: file.path, line, message })),
    );
}

const KEBAB_CASE = /^(\d{4}-)?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*\.tsx?$/;

const kebabCase = perFile('kebab-case', (file) => {
  const name = file.path.split('/').at(-1) ?? '';
  const fine = KEBAB_CASE.test(name);
  return fine ? [] : [[1, `file name ${name} is not kebab-case`]];
});

const fileLength = perFile('file-length', (file) =>
  file.lines.length - 1 > FILE_LINES_MAX
    ? [[FILE_LINES_MAX, `${file.lines.length - 1} lines; at most ${FILE_LINES_MAX}`]]
    : [],
);

const lineLength = perFile('line-length', (file) =>
  file.lines.flatMap((text, index): [number, string][] =>
    text.length > LINE_COLUMNS_MAX ? [[index + 1, `${text.length} columns`]] : [],
  ),
);

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);

/** The callbacks of `describe` hold a suite, not one thought: their tests are checked alone. */
function isSuite(parents: readonly Node[]): boolean {
  const call = parents.at(-1);
  if (call?.type !== 'CallExpression') return false;
  const callee = call.callee as Node;
  const inner = callee.type === 'MemberExpression' ? (callee.object as Node) : callee;
  const name = typeof inner.name === 'string' ? inner.name : '';
  return name.startsWith('describe') || name.endsWith('Contract');
}

const functionLength = perFile('function-length', (file) => {
  const found: [number, string][] = [];
  walk(file.program, (node, parents) => {
    if (!FUNCTIONS.has(node.type) || isSuite(parents)) return;
    const first = lineAt(file.text, node.start);
    const lines = lineAt(file.text, node.end) - first + 1;
    const suite = /\b(describe|it|test)\w*\(/.test(file.text.slice(node.start, node.end));
    if (lines > FUNCTION_LINES_MAX && !(suite && file.path.startsWith('test/'))) {
      found.push([first, `function of ${lines} lines; at most ${FUNCTION_LINES_MAX}`]);
    }
  });
  return found;
});

const leftovers = perFile('leftover', (file) =>
  file.lines.flatMap((text, index): [number, string][] =>
    /\b(TODO|FIXME|XXX|HACK)\b/.test(text) && !file.path.startsWith('test/tidy')
      ? [[index + 1, 'finish it or file it; nothing is left over in the tree']]
      : [],
  ),
);

export const rules: Readonly<Record<string, Rule>> = {
  kebabCase,
  fileLength,
  lineLength,
  functionLength,
  leftovers,
  ...callRules,
  ...boundaryRules,
};
