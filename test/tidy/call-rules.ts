/**
 * Calls that only a few files may make: time and randomness come in through constructors, and an
 * error is never swallowed.
 */
import { type Node, type Offence, type SourceFile, lineAt, walk } from './source-file.ts';

type Rule = (files: ReadonlyMap<string, SourceFile>) => Offence[];

/** The composition roots and the two files that wrap the platform. */
const MAY_TOUCH_THE_PLATFORM = [
  /^shared\/(clock|random)\.ts$/,
  /(^|\/)main\.ts$/,
  /^control-plane\/server-cli\.ts$/,
  /^control-plane\/dashboard\//,
  /^test\//,
];

const BANNED_CALLS = new Set([
  'Date.now',
  'performance.now',
  'Math.random',
  'setTimeout',
  'setInterval',
  'randomUUID',
  'crypto.randomUUID',
  'randomBytes',
]);

/** Only here may a test wait on a timer; everywhere else it waits for a condition. */
const MAY_SLEEP_IN_TESTS = [/^test\/support\//, /^test\/bench\//, /^test\/simulation\//];

function nameOf(callee: Node): string {
  if (callee.type === 'Identifier') return String(callee.name);
  if (callee.type !== 'MemberExpression') return '';
  const object = callee.object as Node;
  const property = callee.property as Node;
  return object.type === 'Identifier' ? `${String(object.name)}.${String(property.name)}` : '';
}

function offencesIn(file: SourceFile): Offence[] {
  const offences: Offence[] = [];
  const add = (rule: string, node: Node, message: string): void => {
    offences.push({ rule, path: file.path, line: lineAt(file.text, node.start), message });
  };
  const banned = !MAY_TOUCH_THE_PLATFORM.some((pattern) => pattern.test(file.path));
  walk(file.program, (node) => {
    if (node.type === 'CallExpression' && banned) {
      const name = nameOf(node.callee as Node);
      if (BANNED_CALLS.has(name)) add('banned-call', node, `${name}: take Clock or Random instead`);
    }
    if (node.type === 'NewExpression' && banned) {
      const args = node.arguments as unknown[];
      if (nameOf(node.callee as Node) === 'Date' && args.length === 0) {
        add('banned-call', node, 'new Date(): take Clock instead');
      }
    }
    if (node.type === 'CatchClause') {
      const body = node.body as Node;
      const text = file.text.slice(body.start + 1, body.end - 1).trim();
      if (text === '') add('silent-catch', node, 'an error is swallowed: handle it or say why not');
    }
    if (node.type === 'CallExpression' && isSleep(node) && isTestCase(file.path)) {
      add('sleep-in-test', node, 'wait for a condition with a deadline (test/support/wait-for.ts)');
    }
  });
  return offences;
}

function isSleep(node: Node): boolean {
  const name = nameOf(node.callee as Node);
  return name === 'setTimeout' || name === 'setInterval' || name.endsWith('Clock.sleep');
}

function isTestCase(path: string): boolean {
  return path.startsWith('test/') && !MAY_SLEEP_IN_TESTS.some((pattern) => pattern.test(path));
}

export const callRules: Readonly<Record<string, Rule>> = {
  calls: (files) => [...files.values()].flatMap(offencesIn),
};
