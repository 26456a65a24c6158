/**
 * What every local sink owes the delivery loop (agent/sinks/sink.ts).
 */
import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import type { DeliveryRow, Sink, SinkContext } from '@runnel/agent/sinks/sink.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import { describeWith } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';

export interface SinkTarget {
  /** A sink over the same target, as after a restart of the agent. */
  readonly make: () => Promise<Sink>;
  /** The `value` of everything that arrived, in order. */
  readonly arrived: () => readonly unknown[];
  /** Takes the target away, and brings it back; absent where it is a part of the agent. */
  readonly away?: () => Promise<void>;
  readonly back?: () => Promise<void>;
}

export interface SinkCase {
  readonly name: string;
  readonly programs?: readonly string[];
  readonly exactlyOnce: boolean;
  readonly setup: () => Promise<SinkTarget>;
}

export function row(seq: number, fields: Partial<DeliveryRow['output']> = {}): DeliveryRow {
  const at = epochMs(1_700_000_000_000 + seq);
  return {
    id: `agent-epoch-bulk-${seq}`,
    seq,
    job: 'job',
    version: 1,
    output: {
      step: 'out',
      key: 'k',
      windowStart: null,
      windowEnd: null,
      time: at,
      revision: 1,
      value: seq,
      at,
      ...fields,
    },
  };
}

export const rows = (from: number, to: number): DeliveryRow[] =>
  Array.from({ length: to - from + 1 }, (_, index) => row(from + index));

const values = (from: number, to: number): number[] => rows(from, to).map(({ seq }) => seq);

export async function openSink(
  sink: Sink,
  dataDir: string,
  context: Partial<SinkContext> = {},
): Promise<Sink> {
  onTestFinished(() => sink.close());
  const log = pino({ level: 'silent' });
  const lanes = { lane: 'lane', isLane: () => true };
  await sink.open({ clock: systemClock, log, dataDir, ...lanes, state: null, ...context });
  return sink;
}

export function sinkContract({ name, programs = [], exactlyOnce, setup }: SinkCase): void {
  describeWith(programs, `the sink contract: ${name}`, () => {
    it('delivers in order, from delivery to delivery and from process to process', async () => {
      const target = await setup();
      const dir = tempDir();
      const first = await openSink(await target.make(), dir);
      await first.deliver(rows(1, 3));
      const state = await first.deliver(rows(4, 4));
      await first.close();
      const second = await openSink(await target.make(), dir, { state: structuredClone(state) });
      await second.deliver(rows(5, 300));
      await waitFor('all', () => target.arrived().length === 300);
      expect(target.arrived()).toEqual(values(1, 300));
    });

    it('may deliver again what was not committed, and nothing else', async () => {
      const target = await setup();
      const dir = tempDir();
      const first = await openSink(await target.make(), dir);
      const state = await first.deliver(rows(1, 2));
      await first.deliver(rows(3, 5));
      await first.close();
      const second = await openSink(await target.make(), dir, { state: structuredClone(state) });
      await second.deliver(rows(3, 6));
      const expected = exactlyOnce ? values(1, 6) : [...values(1, 5), ...values(3, 6)];
      await waitFor('all', () => target.arrived().length === expected.length);
      expect(target.arrived()).toEqual(expected);
    });

    it('holds to that from the first delivery on, when nothing was committed yet', async () => {
      const target = await setup();
      const dir = tempDir();
      const first = await openSink(await target.make(), dir);
      await first.deliver(rows(1, 3));
      await first.close();
      const second = await openSink(await target.make(), dir);
      await second.deliver(rows(1, 4));
      const expected = exactlyOnce ? values(1, 4) : [...values(1, 3), ...values(1, 4)];
      await waitFor('all', () => target.arrived().length === expected.length);
      expect(target.arrived()).toEqual(expected);
    });

    it('holds to that when the commit failed and the process lives on', async () => {
      const target = await setup();
      const sink = await openSink(await target.make(), tempDir());
      await sink.deliver(rows(1, 2));
      await sink.deliver(rows(3, 4));
      await sink.deliver(rows(3, 6));
      const expected = exactlyOnce ? values(1, 6) : [...values(1, 4), ...values(3, 6)];
      await waitFor('all', () => target.arrived().length === expected.length);
      expect(target.arrived()).toEqual(expected);
    });

    it('fails while its target is away, to be tried again, and delivers when back', async () => {
      const target = await setup();
      const sink = await openSink(await target.make(), tempDir());
      await sink.deliver(rows(1, 2));
      await target.away?.();
      const error = await sink.deliver(rows(3, 4)).catch((reason: unknown) => reason);
      if (target.away === undefined) return;
      expect(error).toBeInstanceOf(RunnelError);
      expect((error as RunnelError).retry).not.toBe('never');
      await target.back?.();
      await waitFor('delivery', () => sink.deliver(rows(3, 4)).then(() => true));
      await waitFor('the last', () => target.arrived().at(-1) === 4);
      expect(new Set(target.arrived())).toEqual(new Set(values(1, 4)));
    });

    it('delivers nothing before open and after close, and closes twice', async () => {
      const target = await setup();
      const sink = await target.make();
      await expect(sink.deliver(rows(1, 1))).rejects.toThrow(/not open/);
      await openSink(sink, tempDir());
      await sink.close();
      await sink.close();
      await expect(sink.deliver(rows(1, 1))).rejects.toThrow(/not open/);
      expect(target.arrived()).toEqual([]);
    });
  });
}
