/** Why records became dead letters is counted by step and reason, and survives the process. */
import { expect, it } from 'vitest';
import { epochMs } from '@runnel/shared/ids.ts';
import { deadLetterKey, splitDeadLetterKey } from '@runnel/shared/protocol/dead-letter-key.ts';
import { encodeVersioned } from '@runnel/agent/checkpoints/store-layout.ts';
import { NO_TOTALS, readTotals } from '@runnel/agent/streams/job-record.ts';
import { JobTotalsMeter } from '@runnel/agent/streams/job-totals.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openTestStore } from '../outbox/open-test-store.ts';
import { desired } from './counting-job.ts';
import { openSite } from './site.ts';

const letter = (step: string, reason: string) => ({
  step,
  reason,
  message: 'is wrong',
  record: { topic: 't', payload: null, time: 0 },
  at: epochMs(0),
});

it('a job reports its dead letters by step and reason, over a restart too', async () => {
  const first = await openSite();
  await first.runtime.applyJobs([desired('a')]);
  first.source().give({ payload: '{"v":' }, { payload: { v: 1 } }, { payload: 'x' });
  await first.settled();
  const [report] = first.runtime.jobReports();
  expect(report).toMatchObject({ deadLetters: 2, deadLettersBy: { 'in: bad_json': 2 } });
  await first.close();

  const again = await openSite({
    dataDir: first.dataDir,
    prepare: (source) => {
      const records = ['{"v":', { v: 1 }, 'x', { v: 2, poison: true }, '{'];
      source.give(...records.map((payload) => ({ payload })));
    },
  });
  await again.runtime.applyJobs([desired('a')]);
  await again.settled();
  const reported = () => again.runtime.jobReports()[0];
  await waitFor('the record that fails to be passed over', () => reported()?.deadLetters === 4);
  expect(reported()?.deadLettersBy).toEqual({ 'in: bad_json': 3, 'in: failed': 1 });
});

it('letters since the last commit go with the instance, and those before it stay', () => {
  const meter = new JobTotalsMeter(NO_TOTALS);
  meter.deadLetter(letter('keep', 'missing_key'));
  expect(meter.stage()).toMatchObject({ deadLettersBy: { 'keep: missing_key': 1 } });
  meter.deadLetter(letter('keep', 'missing_key'));
  meter.deadLetter(letter('map', 'wrong_type'));
  expect(meter.total()).toMatchObject({
    deadLetters: 3,
    deadLettersBy: { 'keep: missing_key': 2, 'map: wrong_type': 1 },
  });
  meter.detach();
  expect(meter.total()).toMatchObject({
    deadLetters: 1,
    deadLettersBy: { 'keep: missing_key': 1 },
  });
  expect(meter.stage()).toBeUndefined();
});

it('totals stored before letters had a breakdown are read and counted on', async () => {
  const store = openTestStore();
  const { deadLettersBy: _, ...old } = { ...NO_TOTALS, deadLetters: 7 };
  await store.commit((tx) => tx.put('meta', ['counters', 'a'], encodeVersioned(1, old)));
  const meter = new JobTotalsMeter(readTotals(store, 'a'));
  meter.deadLetter(letter('keep', 'missing_key'));
  expect(meter.stage()).toMatchObject({
    deadLetters: 8,
    deadLettersBy: { 'keep: missing_key': 1 },
  });
});

it('letters of a fifty-first step and reason count as other, and none is lost', () => {
  const meter = new JobTotalsMeter(NO_TOTALS);
  for (let commit = 0; commit < 2; commit++) {
    for (let n = 0; n < 60; n++) meter.deadLetter(letter(`step-${n}`, 'failed'));
    meter.stage();
  }
  const { deadLetters, deadLettersBy } = meter.total();
  expect(deadLetters).toBe(120);
  expect(Object.keys(deadLettersBy)).toHaveLength(51);
  expect(deadLettersBy).toMatchObject({ 'step-0: failed': 2, 'step-49: failed': 2, other: 20 });
});

it('a key splits into the step and the reason that made it', () => {
  const key = deadLetterKey('keep', 'missing_key');
  expect(splitDeadLetterKey(key)).toEqual({ step: 'keep', reason: 'missing_key' });
  expect(splitDeadLetterKey('other')).toEqual({ step: '', reason: 'other' });
});
