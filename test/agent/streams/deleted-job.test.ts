/** A job that goes leaves nothing open, and nothing of what it put out is lost. */
import { describe, expect, it } from 'vitest';
import type { SinkDefinition } from '@runnel/shared/definitions/sinks/registry.ts';
import type { DeliveryRow, Sink } from '@runnel/agent/sinks/sink.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type CountDocument, desired } from './counting-job.ts';
import { openSite } from './site.ts';

/** Takes rows while it is up. */
class SwitchableSink implements Sink {
  readonly kind = 'file';
  isUp = true;
  tries = 0;
  isOpen = false;
  readonly rows: string[] = [];

  async open(): Promise<void> {
    this.isOpen = true;
  }

  async deliver(rows: readonly DeliveryRow[]): Promise<unknown> {
    this.tries++;
    if (!this.isUp) throw new Error('down');
    this.rows.push(...rows.map(({ output }) => JSON.stringify(output.value)));
    return null;
  }

  async close(): Promise<void> {
    this.isOpen = false;
  }
}

const definition = { kind: 'file', from: 'count', path: 'out.jsonl' } as unknown as SinkDefinition;
const document: CountDocument = { sinks: [{ to: 'local', definition, urgent: false }] };
const job = desired('a', 1, document);

describe('the local sink of a job that goes', () => {
  it('is closed at once when nothing waits for it', async () => {
    const sink = new SwitchableSink();
    const site = await openSite({ createSink: () => sink });
    await site.runtime.applyJobs([job]);
    site.source().give({ payload: { v: 1 } });
    await waitFor('delivery', () => site.runtime.delivery.depth().rows === 0 && sink.rows.length);
    await site.runtime.applyJobs([]);
    await waitFor('it to be closed', () => !sink.isOpen);
  });

  it('still gets what waits for it, and is closed then', async () => {
    const sink = new SwitchableSink();
    sink.isUp = false;
    const site = await openSite({ createSink: () => sink });
    await site.runtime.applyJobs([job]);
    site.source().give({ payload: { v: 1 } }, { payload: { v: 2 } });
    await waitFor('a try', () => sink.tries > 0);
    await site.runtime.applyJobs([]);
    expect(site.runtime.delivery.depth().rows).toBe(2);
    expect(site.conditions.list()).toMatchObject([{ reason: 'SinkFailing' }]);
    sink.isUp = true;
    await waitFor('it to be closed', () => sink.rows.length > 0 && !sink.isOpen);
    expect(sink.rows).toEqual(['{"n":1,"sum":1}', '{"n":2,"sum":3}']);
    expect(site.conditions.list()).toEqual([]);
  });

  it('of a job that comes back while rows wait is the same lane, in order', async () => {
    const sink = new SwitchableSink();
    sink.isUp = false;
    const site = await openSite({ createSink: () => sink });
    await site.runtime.applyJobs([job]);
    site.source().give({ payload: { v: 1 } });
    await waitFor('a try', () => sink.tries > 0);
    await site.runtime.applyJobs([]);
    await site.runtime.applyJobs([job]);
    site.source().give({ payload: { v: 5 } });
    sink.isUp = true;
    await waitFor('both', () => sink.rows.length === 2);
    expect(sink.rows).toEqual(['{"n":1,"sum":1}', '{"n":1,"sum":5}']);
    expect(sink.isOpen).toBe(true);
  });
});
