import { describe, expect, it } from 'vitest';
import { agentCapabilities } from '@runnel/agent/config/capabilities.ts';
import { taskRunners } from '@runnel/agent/batch/tasks/registry.ts';
import { tasks } from '@runnel/shared/definitions/tasks/registry.ts';

describe('the capabilities of an agent', () => {
  const capabilities = agentCapabilities({ sql: () => true, sqlite: () => false });

  it('name every kind of task that a job can have and the agent can run, and no other', () => {
    const offered = capabilities
      .filter((each) => each.startsWith('task:'))
      .map((each) => each.slice('task:'.length));
    expect(offered.toSorted()).toEqual(tasks.map(({ kind }) => kind).toSorted());
    expect(offered.toSorted()).toEqual(taskRunners.map(({ kind }) => kind).toSorted());
  });

  it('name the optional packages that were found', () => {
    expect(capabilities).toContain('sql');
    expect(capabilities).not.toContain('sqlite');
  });
});
