/** The journal as rows: which records, in which words, and what is not read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockWriter } from '@runnel/agent/journal/block-writer.ts';
import type { DeclaredSource } from '@runnel/agent/batch/tables/journal-sources.ts';
import type { JournalRange, Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { taskSite, type TaskSite, type TestContext } from '../../support/task-context.ts';

const ALL = { fromMs: -Infinity, toMs: Infinity };

interface Place {
  readonly site: TaskSite;
  readonly source: DeclaredSource;
  readonly context: TestContext;
}

function place(settings: Record<string, unknown> = {}, job: Record<string, unknown> = {}): Place {
  const site = taskSite();
  const sources = { readings: { mqtt: { topic: 'x' }, ...settings } };
  const program = site.program({ sources, tasks: [{ id: 't', value: { value: 1 } }], ...job });
  return { site, source: site.sources[0]!, context: site.context(program, 't') };
}

async function rows({ site, context }: Place, range: Partial<JournalRange> = {}): Promise<Row[]> {
  const found: Row[] = [];
  const reading = site.journal.rows(context, { source: 'readings', ...ALL, ...range });
  for await (const chunk of reading) found.push(...chunk);
  return found;
}

let files = 0;
async function written(at: Place, range: Partial<JournalRange> = {}): Promise<unknown[]> {
  const file = join(at.context.scratchDir, `journal-${files++}.jsonl`);
  const given = { source: 'readings', ...ALL, ...range };
  const count = await at.site.journal.write(at.context, given, file);
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  expect(lines.length).toBe(count);
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe('a record of the journal', () => {
  it('is the same row read and written, whatever its payload', async () => {
    const spaced = fc.jsonValue().map((value) => JSON.stringify(value, null, 2));
    const plain = fc.jsonValue().map((value) => JSON.stringify(value));
    const own = fc.constant('{"_time": "mine", "_topic": 1, "a": 2}');
    const payloads = fc.array(fc.oneof(plain, spaced, own, fc.constant(' {} ')), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(payloads, async (texts) => {
        const at = place();
        await at.site.append(
          at.source,
          texts.map((payload, n) => ({ arrivalMs: 1000 + n, payload, topic: `t"${n}\n` })),
        );
        const found = await rows(at);
        expect(found.length).toBe(texts.length);
        expect(await written(at)).toEqual(JSON.parse(JSON.stringify(found)));
        for (const [n, row] of found.entries()) {
          expect(row).toMatchObject({ _time: 1000 + n, _topic: `t"${n}\n` });
        }
      }),
      { numRuns: 25 },
    );
  });

  it('that is no object is the column payload; bytes are base64', async () => {
    const text = place({ codec: 'text' });
    await text.site.append(text.source, [{ arrivalMs: 1, payload: 'plain "text"\n' }]);
    expect(await written(text)).toMatchObject([{ payload: 'plain "text"\n' }]);
    const bytes = place({ codec: 'bytes' });
    await bytes.site.append(bytes.source, [{ arrivalMs: 1, payload: 'ab' }]);
    expect(await rows(bytes)).toMatchObject([{ payload: 'YWI=' }]);
  });

  it('that cannot be read is left out, counted and told', async () => {
    const at = place({ time: 'payload.t' });
    await at.site.append(at.source, [
      { arrivalMs: 1, payload: '{"t": 5' },
      { arrivalMs: 2, payload: { t: 'soon' } },
      { arrivalMs: 3, payload: { t: '1970-01-01T00:00:07Z' } },
    ]);
    expect(await rows(at)).toEqual([{ _time: 7000, _topic: 'line/1', t: '1970-01-01T00:00:07Z' }]);
    expect(at.site.journal.lastReading.unreadable).toEqual({ bad_json: 1, bad_time: 1 });
    expect(at.context.lines.join()).toContain('1 records of readings were left out: bad_json');
  });
});

describe('a range of times', () => {
  it('by arrival skips blocks by their footers, and holds [from, to)', async () => {
    const at = place();
    for (let n = 0; n < 10; n++) {
      await at.site.append(at.source, [{ arrivalMs: n * 10, payload: { n } }]);
    }
    expect((await rows(at, { fromMs: 30, toMs: 60 })).map((row) => row.n)).toEqual([3, 4, 5]);
    expect(at.site.journal.lastReading).toMatchObject({ blocksRead: 3, blocksSkipped: 7 });
  });

  it('by event time reads each block once, and then skips by what it found', async () => {
    const at = place({ time: 'payload.t' });
    for (let n = 0; n < 10; n++) {
      await at.site.append(at.source, [{ arrivalMs: 1000, payload: { t: (n * 7) % 10 } }]);
    }
    const found = async (): Promise<unknown[]> =>
      (await rows(at, { fromMs: 3, toMs: 5 })).map((row) => row.t);
    expect(await found()).toEqual([4, 3]);
    expect(at.site.journal.lastReading.blocksRead).toBe(10);
    expect(await found()).toEqual([4, 3]);
    expect(at.site.journal.lastReading).toMatchObject({ blocksRead: 2, blocksSkipped: 8 });
    await at.site.append(at.source, [{ arrivalMs: 1000, payload: { t: 3 } }]);
    expect(await found()).toEqual([4, 3, 3]);
  });

  it('leaves out no record that belongs, and takes none that does not', async () => {
    const record = fc.record({ t: fc.integer({ min: 0, max: 40 }), late: fc.nat(30) });
    const batches = fc.array(fc.array(record, { minLength: 1, maxLength: 5 }), { maxLength: 8 });
    const range = fc.tuple(fc.integer({ min: -2, max: 42 }), fc.integer({ min: -2, max: 42 }));
    await fc.assert(
      fc.asyncProperty(batches, fc.array(range, { maxLength: 4 }), async (given, ranges) => {
        const at = place({ time: 'payload.t' });
        for (const [n, batch] of given.entries()) {
          await at.site.append(
            at.source,
            batch.map(({ t }) => ({ arrivalMs: n, payload: { t } })),
          );
        }
        for (const [fromMs, toMs] of ranges) {
          const expected = given.flat().filter(({ t }) => t >= fromMs && t < toMs);
          const found = await rows(at, { fromMs, toMs });
          expect(found.map((row) => row.t)).toEqual(expected.map(({ t }) => t));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('of blocks gives what came in between', async () => {
    const at = place();
    for (let n = 1; n < 6; n++) await at.site.append(at.source, [{ arrivalMs: n, payload: { n } }]);
    expect(at.site.journal.nextBlock()).toBe(6);
    expect((await rows(at, { fromBlock: 3, toBlock: 5 })).map((row) => row.n)).toEqual([3, 4]);
    expect([0, 2, 3.5, 9].map((ms) => at.site.journal.blockSince(ms))).toEqual([1, 2, 4, 6]);
  });
});

describe('a journal that was cut', () => {
  async function cut(job: Record<string, unknown> = {}): Promise<Place> {
    const at = place({}, job);
    for (const arrivalMs of [1000, 2000, 9000]) {
      await at.site.append(at.source, [{ arrivalMs, payload: {} }]);
    }
    await at.site.dropBlocksBefore(3);
    return at;
  }

  it('is whole from the last record dropped, not from the first that was kept', async () => {
    const at = await cut();
    expect(await rows(at, { fromMs: 2001 })).toHaveLength(1);
    await expect(rows(at, { fromMs: 2000 })).rejects.toMatchObject({ class: 'journal_incomplete' });
  });

  it('gives what there is where nothing says from when it is needed', async () => {
    const at = await cut();
    expect(await rows(at)).toHaveLength(1);
    await expect(rows(at, { neededFromMs: 0 })).rejects.toThrow(
      /1970-01-01T00:00:00.000Z is needed/,
    );
  });

  it('is enough for a job that allows partial runs, which says so', async () => {
    const at = await cut({ allowPartial: true });
    expect(await rows(at, { fromMs: 0 })).toHaveLength(1);
    expect(at.context.lines[0]).toContain('allowPartial');
  });
});

describe('the name of a source', () => {
  function other(at: Place, job: string, settings: Record<string, unknown>): void {
    const sources = { other: { mqtt: { topic: 'y' }, ...settings } };
    at.site.program({
      metadata: { name: job },
      sources,
      tasks: [{ id: 't', value: { value: 1 } }],
    });
  }

  it("is the job's own, else that of another job, else what job/name says", async () => {
    const at = place();
    other(at, 'one', {});
    other(at, 'two', {});
    await at.site.append(at.site.sources[1]!, [{ arrivalMs: 1, payload: { of: 'other' } }]);
    expect(await rows(at, { source: 'readings' })).toEqual([]);
    expect(await rows(at, { source: 'other' })).toHaveLength(1);
    other(at, 'three', { time: 'payload.t' });
    await expect(rows(at, { source: 'other' })).rejects.toMatchObject({
      code: 'source_ambiguous',
      hint: 'Say which: one/other, three/other, two/other.',
    });
    expect(await rows(at, { source: 'two/other' })).toHaveLength(1);
    await expect(rows(at, { source: 'reading' })).rejects.toMatchObject({
      code: 'source_unknown',
      hint: 'Did you mean "readings"? Known: other, readings.',
    });
  });
});

it('a million records are written in seconds and flat memory, and the loop runs on', async () => {
  const at = place();
  await fill(at, 1_000_000);
  const file = join(at.context.scratchDir, 'million.jsonl');
  let turns = 0;
  let running = true;
  const beat = (): void => {
    turns += 1;
    if (running) setImmediate(beat);
  };
  setImmediate(beat);
  const before = process.memoryUsage().heapUsed;
  const startedMs = performance.now();
  const count = await at.site.journal.write(at.context, { source: 'readings', ...ALL }, file);
  const tookMs = performance.now() - startedMs;
  running = false;
  const grownMiB = (process.memoryUsage().heapUsed - before) / (1024 * 1024);
  expect(count).toBe(1_000_000);
  expect(tookMs).toBeLessThan(20_000);
  expect(grownMiB).toBeLessThan(100);
  // One at least for each block of 64 KiB.
  expect(turns).toBeGreaterThan(1_500);
}, 90_000);

async function fill({ site, source }: Place, records: number): Promise<void> {
  let block = 1;
  let writer = new BlockWriter(block);
  let pending: BlockWriter[] = [];
  const flush = async (): Promise<void> => {
    const blocks = pending;
    pending = [];
    await site.store.commit((tx) => {
      for (const each of blocks) tx.put('journal', each.block, each.seal(0, 0, 0));
    });
  };
  for (let n = 0; n < records; n++) {
    const facts = { machine: `press-${n % 50}`, rms: (n % 1000) / 1000, status: 'ok', n };
    const payload = JSON.stringify(facts);
    const bytes = Buffer.from(payload.padEnd(100));
    if (!writer.fits(bytes.length + 100)) {
      pending.push(writer);
      if (pending.length >= 100) await flush();
      writer = new BlockWriter(++block);
    }
    writer.record(source.connector, 'press/1/vibration', bytes, undefined, 1_000_000 + n);
  }
  pending.push(writer);
  await flush();
}
