import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Definitions } from '@runnel/control-plane/definitions/definitions.ts';
import { datasetsOf } from '@runnel/control-plane/definitions/datasets-of.ts';
import { pageAudit } from '@runnel/control-plane/store/audit.ts';
import { pageEvents } from '@runnel/control-plane/store/events.ts';
import { listVersions } from '@runnel/control-plane/store/jobs.ts';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { DefinitionError } from '@runnel/shared/errors.ts';
import { tempDir } from '../../support/temp-dir.ts';

async function setUp() {
  const store = await openStore(join(tempDir('definitions'), 'store.db'));
  onTestFinished(() => store.close());
  let changes = 0;
  const definitions = new Definitions({
    db: store.db,
    clock: systemClock,
    changed: () => {
      changes += 1;
      return Promise.resolve();
    },
    retry: () => Promise.resolve(false),
  });
  return { db: store.db, definitions, changes: () => changes };
}

const job = (threshold: number, more = ''): string => `
apiVersion: runnel/v1
kind: StreamJob
metadata: { name: press }   ${more}
sources:
  readings: { mqtt: { topic: "press/+/vibration" } }
steps:
  - filter: "payload.rms > ${threshold}"
sinks:
  - { results: { dataset: loud } }
`;

describe('definitions', () => {
  it('stores a version once, whatever the layout of its text', async () => {
    const { db, definitions, changes } = await setUp();
    const first = await definitions.apply(job(1), 'token:t');
    expect(first).toMatchObject({ name: 'press', version: 1, created: true, changed: true });
    const again = await definitions.apply(job(1, '# a comment'), 'token:t');
    expect(again).toMatchObject({ version: 1, created: false, changed: false });
    expect(again.hash).toBe(first.hash);
    expect(changes()).toBe(1);
    expect(await listVersions(db, 'press')).toHaveLength(1);
    expect(await pageAudit(db, { limit: 10 })).toMatchObject([
      { action: 'job.apply', subject: 'press', actor: 'token:t' },
    ]);
  });

  it('makes an earlier version current again under its old number', async () => {
    const { definitions } = await setUp();
    await definitions.apply(job(1), 'token:t');
    await definitions.apply(job(2), 'token:t');
    const back = await definitions.apply(job(1), 'token:t');
    expect(back).toMatchObject({ version: 1, generation: 3, created: false, changed: true });
  });

  it('says in a dry run what an apply would do, and stores nothing', async () => {
    const { db, definitions } = await setUp();
    await definitions.apply(job(1), 'token:t');
    await definitions.apply(job(2), 'token:t');
    expect(await definitions.dryRun(job(3))).toMatchObject({
      version: 3,
      generation: 3,
      created: true,
      changed: true,
      dryRun: true,
    });
    expect(await definitions.dryRun(job(1))).toMatchObject({ version: 1, created: false });
    expect(await definitions.dryRun(job(2))).toMatchObject({ version: 2, changed: false });
    expect(await listVersions(db, 'press')).toHaveLength(2);
  });

  it('refuses what a device could not compile, with the place in the text', async () => {
    const { db, definitions } = await setUp();
    const wrong = job(1).replace('payload.rms > 1', 'payload.rms >');
    const { valid, issues } = definitions.validate(wrong);
    expect(valid).toBe(false);
    expect(issues[0]).toMatchObject({ path: 'steps[0].filter', line: 8 });
    await expect(definitions.apply(wrong, 'token:t')).rejects.toThrow(DefinitionError);
    const unknown = job(1).replace('payload.rms > 1', 'params.limit > 1');
    expect(definitions.validate(unknown).valid).toBe(false);
    expect(await listVersions(db, 'press')).toEqual([]);
  });

  it('keeps the history of a job that is deleted and comes back', async () => {
    const { db, definitions, changes } = await setUp();
    await definitions.apply(job(1), 'token:t');
    await definitions.delete('press', 'token:t');
    await expect(definitions.delete('press', 'token:t')).rejects.toThrow(
      expect.objectContaining({ code: 'not_found' }),
    );
    const back = await definitions.apply(job(1), 'token:t');
    expect(back).toMatchObject({ version: 1, generation: 3, changed: true });
    expect(changes()).toBe(3);
    const events = await pageEvents(db, { job: 'press', limit: 10 });
    expect(events.map((event) => event.message)).toEqual([
      'version 1 is to run',
      'deleted',
      'version 1 is to run',
    ]);
  });
});

describe('datasets of a job', () => {
  it('are those that its sinks name, once each', () => {
    const sinks = [
      { results: { dataset: 'b' } },
      { from: 'x', results: { dataset: 'a' } },
      { results: { dataset: 'b' } },
      { alerts: {} },
    ];
    expect(datasetsOf({ sinks })).toEqual(['a', 'b']);
    expect(datasetsOf({})).toEqual([]);
  });
});
