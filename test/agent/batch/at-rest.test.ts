import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repository } from '../../support/processes.ts';
import { sourceFile } from '../../tidy/source-file.ts';

/** Of the batch engine, what stands in for it until it is there: writes, keys, types. */
const SMALL = [
  'agent/batch/batch-budget.ts',
  'agent/batch/child/sql-available.ts',
  'agent/batch/records.ts',
  'agent/batch/runs/batch-store.ts',
  'agent/batch/runs/job-record.ts',
  'agent/batch/tasks/task-error.ts',
];
const OF_BATCH = /^(agent\/batch\/|shared\/schedule\/|shared\/definitions\/(tasks\/|.*batch))/;

/** All that is loaded with a file: its imports, and theirs; `import()` comes later. */
function loadedWith(entry: string): Set<string> {
  const found = new Set([entry]);
  for (const path of found) {
    const { imports, text } = sourceFile(path, readFileSync(join(repository, path), 'utf8'));
    for (const { target, typeOnly, line } of imports) {
      const isLater = /\bimport\(/.test(text.split('\n')[line - 1] ?? '');
      if (typeOnly || isLater || !existsSync(join(repository, target))) continue;
      if (target.endsWith('.ts')) found.add(target);
    }
  }
  return found;
}

it('an agent that runs reaches nothing of batch jobs before there is one', () => {
  const loaded = loadedWith('agent/main.ts');
  expect(loaded).toContain('agent/streams/batch-slot.ts');
  const ofBatch = [...loaded].filter((path) => OF_BATCH.test(path) && !SMALL.includes(path));
  expect(ofBatch).toEqual([]);
});

it('an agent without a job carries no expressions, operators and job documents', () => {
  const loaded = loadedWith('agent/main.ts');
  expect(loaded).toContain('agent/streams/agent-runtime.ts');
  const ofJobs =
    /^shared\/(expressions\/compile|engine\/(compile|operators\/)|definitions\/parse-)/;
  expect([...loaded].filter((path) => ofJobs.test(path))).toEqual([]);
});
