/** The task `value`: what is rendered is what comes out. */
import { expect, it } from 'vitest';
import { taskContract } from '../../../contracts/task-contract.ts';
import { taskSite } from '../../../support/task-context.ts';

taskContract({
  kind: 'value',
  setup: async (site) => {
    const value = { day: '{{ partition.date }}', list: [1, 2] };
    const program = site.program({ tasks: [{ id: 'task', value: { value } }] });
    return { program, task: 'task', effects: null };
  },
});

it('a value keeps its types, and nothing is null', async () => {
  const site = taskSite();
  const program = site.program({
    parameters: { n: { type: 'number', default: 7 } },
    tasks: [
      { id: 'typed', value: { value: { n: '{{ params.n }}', text: 'n={{ params.n }}' } } },
      { id: 'nothing', value: { value: null } },
    ],
  });
  const { success } = await site.attempt(program, 'typed');
  expect(success).toEqual({ output: { n: 7, text: 'n=7' } });
  expect((await site.attempt(program, 'nothing')).success).toEqual({ output: null });
});
