/** Parameters in every store. */
import { expect } from 'vitest';
import { deleteRevokedAgent } from '@runnel/control-plane/store/agents.ts';
import { changeParameters, parameterRecords } from '@runnel/control-plane/store/parameters.ts';
import type { WithStore } from './store-contract.ts';
import { insertAgent } from './store-rows.ts';

const change = (scope: string, set: Readonly<Record<string, unknown>>, more: object = {}) => ({
  ...{ job: 'press', scope, set, unset: [], at: 10, by: 'token:t1' },
  ...more,
});

export function parametersContract(withStore: WithStore): void {
  withStore('parameters are set, set again and unset, by job, scope and name', async (db) => {
    const text = { text: 'a\0b', list: [1, null] };
    await changeParameters(db, change('site:lyon', { limit: 0.8, more: text }));
    await changeParameters(db, change('fleet', { limit: 1 }, { job: 'oven' }));
    await changeParameters(db, change('site:lyon', { limit: 2 }, { at: 20, unset: ['more'] }));
    const limit = { job: 'press', scope: 'site:lyon', name: 'limit', value: 2 };
    expect(await parameterRecords(db, 'press')).toEqual([
      { ...limit, setAt: 20, setBy: 'token:t1' },
    ]);
    expect((await parameterRecords(db)).map(({ job }) => job)).toEqual(['oven', 'press']);
    await changeParameters(db, change('site:lyon', { more: text }));
    expect((await parameterRecords(db, 'press')).at(-1)?.value).toEqual(text);
  });

  withStore('parameters of an agent go with it', async (db) => {
    await insertAgent(db, { id: 'a1', status: 'revoked' });
    await changeParameters(db, change('agent:a1', { limit: 1 }));
    await changeParameters(db, change('agent:a10', { limit: 2 }));
    expect(await deleteRevokedAgent(db, 'a1')).toBe(true);
    expect((await parameterRecords(db)).map(({ scope }) => scope)).toEqual(['agent:a10']);
  });
}
