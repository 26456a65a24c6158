/**
 * Who may import whom (DESIGN.md §2), no cycles, no file that nobody imports, no component that
 * its registry forgot.
 */
import { type Offence, type SourceFile } from './source-file.ts';

type Files = ReadonlyMap<string, SourceFile>;
type Rule = (files: Files) => Offence[];

/** Started by a launcher, a tool or the test runner, not imported. */
const ENTRIES = [
  /^agent\/cli\/main\.ts$/,
  /^agent\/checkpoints\/verify-store\.ts$/,
  /^agent\/batch\/child\/task-child\.ts$/,
  /^control-plane\/(server-cli|cli\/main)\.ts$/,
  /^control-plane\/dashboard\/(vite\.config|main)\.tsx?$/,
  /^deploy\/package\/main\.ts$/,
  /^vitest(\.\w+)?\.config\.ts$/,
  /^test\/.*\.(test|soak)\.ts$/,
  /^test\/(bench|e2e|simulation|soak)\//,
  /^test\/.*-worker\.ts$/,
  /^test\/support\/open-handles\.ts$/,
  /\.d\.ts$/,
];

/** Folders whose every file with a `define…` or a listed suffix belongs into `registry.ts`. */
const REGISTERED: readonly [folder: string, marker: RegExp][] = [
  ['shared/engine/operators', /\bdefineOperator\(\{/],
  ['shared/engine/aggregates', /\bdefineAggregate\(\{|: Aggregate(Spec)?(<[^=]*>)? = \{/],
  ['shared/definitions/sources', /\bdefineSource\(\{/],
  ['shared/definitions/sinks', /\bdefineSink\(\{/],
  ['shared/definitions/tasks', /\bdefineTask\(\{/],
  ['agent/batch/tasks', /\bdefineTaskRunner(<\w+>)?\(\{/],
];

function packageOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function offence(rule: string, file: SourceFile, line: number, message: string): Offence {
  return { rule, path: file.path, line, message };
}

const boundaries: Rule = (files) =>
  [...files.values()].flatMap((file) =>
    file.imports.flatMap(({ target, line }) => {
      const from = packageOf(file.path);
      const to = packageOf(target);
      const crosses =
        (from === 'shared' && (to === 'agent' || to === 'control-plane' || to === 'test')) ||
        (from === 'agent' && (to === 'control-plane' || to === 'test')) ||
        (from === 'control-plane' && (to === 'agent' || to === 'test'));
      return crosses ? [offence('boundary', file, line, `${from} must not import ${target}`)] : [];
    }),
  );

/** Everything that runs when `path` is loaded: imports followed, those of types left out. */
function reachedFrom(files: Files, path: string, reached = new Set<string>()): Set<string> {
  for (const { target, typeOnly } of files.get(path)?.imports ?? []) {
    if (typeOnly || reached.has(target)) continue;
    reached.add(target);
    reachedFrom(files, target, reached);
  }
  return reached;
}

const NODE_MODULE = /^(node:|fs$|path$|crypto$|os$|child_process$|worker_threads$|net$|http$)/;

const pureEngine: Rule = (files) =>
  [...files.values()]
    .filter((file) => file.path.startsWith('shared/engine/'))
    .flatMap((file) => {
      const node = [...reachedFrom(files, file.path)].find((target) => NODE_MODULE.test(target));
      return node === undefined
        ? []
        : [offence('pure-engine', file, 1, `the engine reaches ${node}; it must stay pure`)];
    });

const cycles: Rule = (files) => {
  const offences: Offence[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    const file = files.get(path);
    if (file === undefined || done.has(path)) return;
    if (at >= 0) {
      const loop = [...trail.slice(at), path].join(' → ');
      offences.push(offence('import-cycle', file, 1, loop));
      return;
    }
    for (const { target, typeOnly } of file.imports) {
      if (!typeOnly) visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
  return offences;
};

const orphans: Rule = (files) => {
  const imported = new Set<string>();
  for (const file of files.values()) for (const { target } of file.imports) imported.add(target);
  return [...files.values()]
    .filter((file) => !imported.has(file.path))
    .filter((file) => !ENTRIES.some((entry) => entry.test(file.path)))
    .map((file) => offence('orphan', file, 1, 'nobody imports this file'));
};

const unregistered: Rule = (files) =>
  REGISTERED.flatMap(([folder, marker]) => {
    const registry = files.get(`${folder}/registry.ts`);
    const listed = new Set(registry?.imports.map(({ target }) => target));
    return [...files.values()]
      .filter((file) => file.path.startsWith(`${folder}/`) && marker.test(file.text))
      .filter((file) => file !== registry && !listed.has(file.path))
      .map((file) => offence('unregistered', file, 1, `not listed in ${folder}/registry.ts`));
  });

export const boundaryRules: Readonly<Record<string, Rule>> = {
  boundaries,
  pureEngine,
  cycles,
  orphans,
  unregistered,
};
