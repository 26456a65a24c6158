/** What the whole control plane keeps, and what it says of the rest. */
import { expect, it, onTestFinished } from 'vitest';
import { KEEP_DEFAULT } from '@runnel/control-plane/store/retention.ts';
import { TestControlPlane } from '../../support/control-plane.ts';
import { Device } from '../../support/device.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

it('rows beyond the bound go, readers go on behind them, and metrics count them', async () => {
  const dir = tempDir('data');
  const before = await TestControlPlane.start(dir);
  const device = await Device.join(before);
  await device.send([{}, {}, {}, {}, {}]);
  const first = await before.get('/datasets/rms/results?limit=1');
  await device.close();
  await before.close();

  const keep = { ...KEEP_DEFAULT, resultsRows: 2 };
  const control = await TestControlPlane.start(dir, { keep });
  onTestFinished(() => control.close());
  const seqs = async (query: string): Promise<number[]> => {
    const { json } = await control.get(`/datasets/rms/results?${query}`);
    return json.items.map((item: { seq: number }) => item.seq);
  };
  await waitFor('the sweep', async () => (await seqs('')).length === 2);
  expect(await seqs(`after=${first.json.next}`)).toEqual([4, 5]);
  expect((await control.get('/datasets')).json.items).toMatchObject([{ dataset: 'rms', rows: 2 }]);
  const { text } = await control.request('GET', '/metrics');
  expect(text).toContain('runnel_store_deleted_rows_total{table="results",reason="rows"} 3');
  expect(text).toContain('runnel_intake_rows_resent_total 0');
});
