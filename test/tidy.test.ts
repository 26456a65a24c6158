/**
 * The house style as a test (STYLE.md 2), and the proof that each of its rules bites.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { rules } from './tidy/rules.ts';
import { type Offence, type SourceFile, sourceFile } from './tidy/source-file.ts';

const root = join(import.meta.dirname, '..');

function readTree(): Map<string, SourceFile> {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.tsx'], {
    cwd: root,
    encoding: 'utf8',
  });
  const paths = listed.split('\n').filter((path) => path !== '' && existsSync(join(root, path)));
  return new Map(
    paths.map((path) => [path, sourceFile(path, readFileSync(join(root, path), 'utf8'))]),
  );
}

function planted(sources: Readonly<Record<string, string>>): Map<string, SourceFile> {
  return new Map(
    Object.entries(sources).map(([path, text]) => [path, sourceFile(path, text)] as const),
  );
}

function print(offences: readonly Offence[]): string[] {
  return offences.map(({ rule, path, line, message }) => `${path}:${line} ${rule}: ${message}`);
}

describe('the tree', () => {
  const files = readTree();

  it('is not empty', () => {
    expect(files.size).toBeGreaterThan(20);
  });

  for (const [name, rule] of Object.entries(rules)) {
    it(`keeps the rule ${name}`, () => {
      expect(print(rule(files))).toEqual([]);
    });
  }
});

/** One offender per rule: the path that must be named, and the files that hold it. */
const offenders: Record<string, [rule: string, sources: Record<string, string>]> = {
  'a camel-case file name': ['kebab-case', { 'agent/streams/commitCycle.ts': 'export {};\n' }],
  'a file of 401 lines': ['file-length', { 'agent/streams/a.ts': 'export {};\n'.repeat(401) }],
  'a line of 101 columns': [
    'line-length',
    { 'agent/streams/a.ts': `// ${'x'.repeat(98)}\nexport {};\n` },
  ],
  'a function of 71 lines': [
    'function-length',
    { 'agent/streams/a.ts': `export function f(): void {\n${'  f();\n'.repeat(69)}}\n` },
  ],
  'a leftover': ['leftover', { 'agent/streams/a.ts': '// TO'.concat('DO: later\nexport {};\n') }],
  'the real clock in a component': [
    'banned-call',
    { 'agent/streams/a.ts': 'export const t = Date.now();\n' },
  ],
  'a date from nowhere': [
    'banned-call',
    { 'shared/engine/a.ts': 'export const t = new Date();\n' },
  ],
  'a swallowed error': [
    'silent-catch',
    { 'agent/streams/a.ts': 'try {\n  throw 1;\n} catch {}\nexport {};\n' },
  ],
  'a test that sleeps': [
    'sleep-in-test',
    { 'test/agent/a.test.ts': 'await new Promise((r) => setTimeout(r, 50));\nexport {};\n' },
  ],
  'an agent that imports the control plane': [
    'boundary',
    { 'agent/streams/a.ts': "import { x } from '@runnel/control-plane/b.ts';\nx();\n" },
  ],
  'an engine that reaches Node through another file': [
    'pure-engine',
    {
      'shared/engine/a.ts': "import { b } from '../b.ts';\nb();\n",
      'shared/b.ts': "import { readFileSync } from 'node:fs';\nexport const b = readFileSync;\n",
    },
  ],
  'an import cycle': [
    'import-cycle',
    {
      'shared/a.ts': "import { b } from './b.ts';\nexport const a = () => b;\n",
      'shared/b.ts': "import { a } from './a.ts';\nexport const b = () => a;\n",
    },
  ],
  'a file that nobody imports': ['orphan', { 'shared/lonely.ts': 'export const x = 1;\n' }],
  'an operator missing from the registry': [
    'unregistered',
    {
      'shared/engine/operators/registry.ts': 'export const operators = [];\n',
      'shared/engine/operators/twist.ts': 'export const twist = defineOperator({});\n',
    },
  ],
};

describe('a planted offender', () => {
  for (const [name, [rule, sources]] of Object.entries(offenders)) {
    it(`is caught: ${name}`, () => {
      const offences = Object.values(rules).flatMap((check) => check(planted(sources)));
      expect(offences.map((found) => found.rule)).toContain(rule);
    });
  }

  it('is not seen where there is none', () => {
    const clean = planted({
      'agent/cli/main.ts': "import { a } from '../a.ts';\na();\n",
      'agent/a.ts': "import type { B } from './b.ts';\nexport const a = (): B => ({});\n",
      'agent/b.ts': "import type { a } from './a.ts';\nexport type B = { a?: typeof a };\n",
    });
    expect(Object.values(rules).flatMap((check) => check(clean))).toEqual([]);
  });
});
