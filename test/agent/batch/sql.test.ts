/** The task `sql`: what a query reads, what comes out, and what it cannot do. */
import { expect, describe, it } from 'vitest';
import { DAY_START, taskSite, type TaskSite } from '../../support/task-context.ts';

const HOUR = 3_600_000;
const source = { readings: { mqtt: { topic: 'press/+/vibration' } } };

function job(site: TaskSite, query: string, more: Record<string, unknown> = {}) {
  return site.program({ sources: source, tasks: [{ id: 'q', sql: { query, ...more } }] });
}

async function query(site: TaskSite, text: string, more: Record<string, unknown> = {}) {
  const { success } = await site.attempt(job(site, text, more), 'q');
  return { rows: await site.rows(success.table), success };
}

describe('a query over the journal', () => {
  it('sees the fields of the payload, _time and _topic', async () => {
    const site = taskSite();
    const program = job(site, "SELECT * FROM journal('readings') ORDER BY _time");
    await site.append(site.sources[0]!, [
      { arrivalMs: DAY_START, payload: { machine: 'a', rms: 1 }, topic: 'press/a/vibration' },
      { arrivalMs: DAY_START + 1, payload: { machine: 'b', rms: 1.5 } },
    ]);
    const { success } = await site.attempt(program, 'q');
    expect(await site.rows(success.table)).toEqual([
      { _time: DAY_START, _topic: 'press/a/vibration', machine: 'a', rms: 1 },
      { _time: DAY_START + 1, _topic: 'line/1', machine: 'b', rms: 1.5 },
    ]);
    expect(success.output).toMatchObject({ rowCount: 2, inputs: { readings: { rows: 2 } } });
  });

  it('reads only the blocks that the range of times can touch', async () => {
    const site = taskSite();
    const program = job(
      site,
      "SELECT count(*) AS n FROM journal('readings') WHERE _time >= {{ partition.start }} AND _time < {{ partition.end }}",
    );
    for (let hour = -10; hour < 34; hour++) {
      await site.append(site.sources[0]!, [
        { arrivalMs: DAY_START + hour * HOUR, payload: { hour } },
      ]);
    }
    const { success } = await site.attempt(program, 'q');
    expect(await site.rows(success.table)).toEqual([{ n: 24 }]);
    expect(site.journal.lastReading).toMatchObject({ blocksRead: 24, blocksSkipped: 20 });
  });

  it('does not fail on an empty journal, whatever columns it names', async () => {
    const site = taskSite();
    const { rows } = await query(
      site,
      "SELECT machine, avg(rms) AS rms, max(payload.x) AS x, count(*) AS n FROM journal('readings') GROUP BY machine",
    );
    expect(rows).toEqual([]);
  });
});
