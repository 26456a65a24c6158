/** The schema for editors and the reference say what the parser says. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { jobJsonSchema } from '@runnel/shared/definitions/job-json-schema.ts';
import { parseJob, parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { referenceText } from '@runnel/shared/definitions/reference-text.ts';
import { sinks } from '@runnel/shared/definitions/sinks/registry.ts';
import { sources } from '@runnel/shared/definitions/sources/registry.ts';
import { tasks } from '@runnel/shared/definitions/tasks/registry.ts';
import { operators } from '@runnel/shared/engine/operators/registry.ts';

const schema = z.fromJSONSchema(jobJsonSchema() as z.core.JSONSchema.JSONSchema);
const HEAD = 'apiVersion: runnel/v1\nkind: StreamJob\nmetadata: { name: x }\n';

describe('the schema for editors', () => {
  test('takes every example', () => {
    const folder = join(import.meta.dirname, '../../../deploy/examples');
    for (const file of readdirSync(folder).filter((name) => /(?<!\.test)\.yaml$/.test(name))) {
      const result = schema.safeParse(parse(readFileSync(join(folder, file), 'utf8')));
      expect(result.error?.issues, file).toBeUndefined();
    }
  });

  test.each([
    'sources: { a: { host: { evry: 5s } } }\nsteps: [{ filter: "true" }]',
    'sources: { a: { hots: {} } }\nsteps: [{ filter: "true" }]',
    'sources: { a: { host: {} } }\nsteps: [{ filtre: "true" }]',
    'sources: { a: { host: {} } }\nsteps: [{ filter: "true" }]\nsinks: [{ from: filter }]',
    'sources: { a: { mqtt: { topic: t, password: x } } }\nsteps: [{ filter: "true" }]',
  ])('refuses what the parser refuses: %s', (body) => {
    expect(() => parseJob(`${HEAD}${body}\n`)).toThrow();
    expect(schema.safeParse(parse(`${HEAD}${body}\n`)).success).toBe(false);
  });
});

describe('the schema for editors, of a batch job', () => {
  const batch = 'apiVersion: runnel/v1\nkind: BatchJob\nmetadata: { name: x }\n';

  test.each([
    'schedule: { cron: "0 6 * * *", onStartup: true }\ntasks: [{ id: a, needs: b }, { id: b }]',
    'partition: { every: 1d }\n' +
      'tasks: [{ id: a, value: { value: "{{ 1 }}" }, retry: { attempts: 2 } }]',
    'tasks: [{ id: a, http: { url: "http://h/", expect: "{{ [200] }}" } }]',
    'tasks: [{ id: a, compact: }]',
  ])('takes what the parser takes: %s', (body) => {
    parseJob(`${batch}${body}\n`);
    expect(schema.safeParse(parse(`${batch}${body}\n`)).error?.issues).toBeUndefined();
  });

  test.each([
    'tasks: [{ id: a, valeu: { value: 1 } }]',
    'tasks: [{ id: a, http: { urll: "http://h/" } }]',
    'tasks: [{ id: a, http: { url: "http://h/", expect: never } }]',
    'tasks: [{ id: a, trigger: all_sucess }]',
    'schedule: { crn: "0 6 * * *" }\ntasks: [{ id: a }]',
    'steps: [{ filter: "true" }]',
  ])('refuses what the parser refuses: %s', (body) => {
    expect(() => parseJob(`${batch}${body}\n`)).toThrow();
    expect(schema.safeParse(parse(`${batch}${body}\n`)).success).toBe(false);
  });
});

describe('the reference', () => {
  const text = referenceText();

  test('has every component and every function', () => {
    for (const { kind } of tasks) expect(text).toContain(`### Task \`${kind}\``);
    for (const spec of [...sources, ...sinks]) expect(text).toContain(`\`${spec.kind}\``);
    for (const operator of operators) expect(text).toContain(`### Step \`${operator.name}\``);
  });

  test('describes every key', () => {
    const bare = text.split('\n').filter((line) => /^\| `[^`]+` \|.*\|\s+\|$/.test(line));
    expect(bare).toEqual([]);
  });

  test('its examples of sources and sinks pass', () => {
    for (const { yaml } of sources.flatMap((spec) => spec.examples)) {
      const body = yaml.replaceAll(/^/gm, '  ');
      parseJob(`${HEAD}sources:\n${body}\nsteps: [{ filter: "true" }]\n`);
    }
    for (const { yaml } of sinks.flatMap((spec) => spec.examples)) {
      const steps = 'steps: [{ id: rms, filter: "true" }, { id: alert, filter: "true" }]';
      parseJob(`${HEAD}sources: { a: { host: {} } }\n${steps}\nsinks:\n  ${yaml}\n`);
    }
  });

  test.each(tasks.flatMap(({ kind, examples }) => examples.map((each) => ({ ...each, kind }))))(
    'its example of the task $kind passes: $title',
    ({ kind, yaml }) => {
      const document = batchDocument(parse(yaml) as ExampleTask[]);
      expect(JSON.stringify(document)).toContain(JSON.stringify(kind));
      parseJobDocument(document);
      expect(schema.safeParse(document).error?.issues).toBeUndefined();
    },
  );
});

interface ExampleTask {
  readonly id: string;
  readonly needs?: string | readonly string[];
}

/** The tasks of an example, behind tasks of the names that it needs. */
function batchDocument(example: readonly ExampleTask[]): unknown {
  const needed = new Set(example.flatMap(({ needs }) => needs ?? []));
  const before = [...needed].filter((id) => !example.some((task) => task.id === id));
  return {
    apiVersion: 'runnel/v1',
    kind: 'BatchJob',
    metadata: { name: 'x' },
    parameters: parametersOf(JSON.stringify(example)),
    tasks: [...before.map((id) => ({ id, value: { value: 1 } })), ...example],
  };
}

function parametersOf(text: string): Record<string, unknown> {
  const names = [...text.matchAll(/params\.(\w+)/g)].map(([, name]) => name ?? '');
  return Object.fromEntries(names.map((name) => [name, { type: 'number', default: 1 }]));
}
