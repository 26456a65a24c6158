/** The settings of the tasks that talk to the outside: what parses, and what is refused and how. */
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { parseAt, strict } from '@runnel/shared/definitions/strict.ts';
import type { TaskSpec } from '@runnel/shared/definitions/task-definition.ts';
import { commandTask } from '@runnel/shared/definitions/tasks/command.ts';
import { extractTask } from '@runnel/shared/definitions/tasks/extract.ts';
import { httpTask } from '@runnel/shared/definitions/tasks/http.ts';
import { loadTask } from '@runnel/shared/definitions/tasks/load.ts';
import { publishTask } from '@runnel/shared/definitions/tasks/publish.ts';
import type { DefinitionIssue } from '@runnel/shared/errors.ts';

const specs: readonly TaskSpec[] = [extractTask, loadTask, httpTask, commandTask, publishTask];

function issuesOf(spec: TaskSpec, config: unknown): string[] {
  const issues: DefinitionIssue[] = [];
  const parsed = parseAt(strict(spec.fields), config, [], issues);
  const told = issues.map(({ path, message }) => `${path}: ${message}`);
  if (parsed === undefined) return told;
  const problem = spec.problem?.(parsed as never);
  const found = spec.issues?.(parsed as never, {}) ?? [];
  return [
    ...(problem === undefined ? [] : [problem.join(': ')]),
    ...found.map(({ path, message }) => `${path.join('.')}: ${message}`),
  ];
}

describe.each(specs)('the task $kind', (spec) => {
  it.each(spec.examples.map(({ title, yaml }) => [title, yaml]))('parses: %s', (_title, yaml) => {
    const [task] = parse(yaml.replaceAll(/\{\{[^}]*\}\}/g, '1')) as Record<string, unknown>[];
    expect(issuesOf(spec, task?.[spec.kind])).toEqual([]);
  });

  it('describes every field', () => {
    for (const [name, field] of Object.entries(spec.fields)) {
      expect(field.description, name).toBeTruthy();
    }
  });
});

const url = 'http://127.0.0.1:1/';
const postgres = { url: 'postgres://u@h/d', query: 'SELECT 1' };
const since = { ...postgres, query: "SELECT '$cursor', id FROM t WHERE id > $cursor" };
const quoted = { ...postgres, query: "SELECT '$cursor' -- $cursor" };
const refused: [TaskSpec, unknown, RegExp][] = [
  [httpTask, { url: 'ftp://x' }, /is no http/],
  [httpTask, { url: 'http://u:p@x/' }, /must not hold credentials/],
  [httpTask, { url, headers: { Authorization: 'Bearer x' } }, /must not stand in a document/],
  [httpTask, { url, headers: { 'content-length': '1' } }, /set by the agent itself/],
  [httpTask, { url, headers: { x: 'a\r\nb: c' } }, /characters that no header/],
  [httpTask, { url, body: {} }, /GET has none/],
  [httpTask, { url, auth: {} }, /needs one of bearer/],
  [httpTask, { url, auth: { bearer: 'secret' } }, /must not stand in a document/],
  [httpTask, { url, expects: [200] }, /unknown key/],
  [extractTask, {}, /is missing: one of http, file/],
  [extractTask, { http: { url }, postgres }, /stands instead of/],
  [extractTask, { http: { url, paging: { link: true, page: {} } } }, /needs one of link/],
  [extractTask, { http: { url, paging: { next: 'response.' } } }, /http.paging.next/],
  [extractTask, { http: { url }, rows: 'answer.body' }, /rows: unknown name "answer"/],
  [extractTask, { http: { url }, cursor: { value: 'row.id' } }, /needs param/],
  [extractTask, { postgres: since, cursor: { from: 0, value: 'row.id', param: 'x' } }, /for http/],
  [extractTask, { postgres: since, cursor: { value: 'row.id' } }, /needs from/],
  [extractTask, { postgres, cursor: { from: 0, value: 'row.id' } }, /has no \$cursor/],
  [extractTask, { postgres: since }, /has \$cursor/],
  [extractTask, { postgres: quoted, cursor: { from: 0, value: 'row.id' } }, /has no \$cursor/],
  [extractTask, { postgres: { ...postgres, url: 'postgres://u:p@h/d' } }, /not hold a password/],
  [extractTask, { postgres, rows: 'response.body' }, /is for http and file/],
  [extractTask, { mqtt: { topic: 'a/#/b' } }, /stands alone/],
  [loadTask, { input: 'a' }, /is missing: one of file/],
  [loadTask, { file: { path: 'x.csv' } }, /is missing: one of input, rows/],
  [loadTask, { rows: [], sqlite: { path: 'x', table: 't', mode: 'upsert' } }, /upsert needs it/],
  [loadTask, { rows: [], sqlite: { path: 'x', table: 't', where: {} } }, /goes with mode: replace/],
  [loadTask, { rows: [], sqlite: { path: 'x', table: 't', mode: 'changes' } }, /changes needs it/],
  [
    loadTask,
    {
      rows: [],
      sqlite: { path: 'x', table: 't', mode: 'changes', key: ['id', 'n'], columns: { id: 'id' } },
    },
    /leaves out n, which is of the key/,
  ],
  [loadTask, { rows: [], sqlite: { path: 'x', table: 't', truncate: true } }, /mode: changes/],
  [loadTask, { rows: [], sqlite: { path: 'x', table: 't', forgetDeleted: '1d' } }, /mode: changes/],
  [loadTask, { rows: [], mqtt: {} }, /topic or topicOf/],
  [loadTask, { rows: [], mqtt: { topicOf: 'line' } }, /unknown name "line"/],
  [commandTask, { run: ['df'] }, /absolute path/],
  [commandTask, { run: [] }, /run/],
  [publishTask, { from: 'a' }, /is missing: one of dataset/],
  [publishTask, { from: 'a', mqtt: { topic: 'x' }, key: 'k' }, /goes with dataset/],
];

it.each(refused.map(([spec, config, message]) => [spec.kind, config, message, spec] as const))(
  '%s refuses %j',
  (_kind, config, message, spec) => {
    expect(issuesOf(spec, config).join('\n')).toMatch(message);
  },
);
