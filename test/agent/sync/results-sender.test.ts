import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentId } from '@runnel/shared/ids.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { type Lane, type ResultBlock, resultBlock } from '@runnel/shared/protocol/results.ts';
import { seededRandom } from '@runnel/shared/random.ts';
import type { Link } from '@runnel/agent/sync/link.ts';
import { type OutboxLanes, ResultsSender } from '@runnel/agent/sync/results-sender.ts';
import { TokenBucket } from '@runnel/agent/sync/token-bucket.ts';
import { silentLog } from '../../support/nats.ts';
import { waitFor } from '../../support/wait-for.ts';

const agent = 'a1' as AgentId;

/** Rows in memory with the semantics of the outbox: a mark per lane, blocks of three rows. */
class Rows implements OutboxLanes {
  readonly marks: Record<Lane, number> = { alerts: 0, urgent: 0, results: 0, bulk: 0 };
  readonly heads: Record<Lane, number> = { alerts: 0, urgent: 0, results: 0, bulk: 0 };
  #listener: () => void = () => undefined;

  add(lane: Lane, count: number): void {
    this.heads[lane] += count;
    this.#listener();
  }

  next(lane: Lane): ResultBlock | undefined {
    const after = this.marks[lane];
    if (after >= this.heads[lane]) return undefined;
    const last = Math.min(after + 3, this.heads[lane]);
    const rows = Array.from({ length: last - after }, (_, at) => row(after + at + 1));
    return { v: 1, agent, epoch: 'e', lane, after, last, lost: 0, rows };
  }

  hasMore({ lane, last }: ResultBlock): boolean {
    return this.heads[lane] > last;
  }

  acknowledge(_epoch: string, lane: Lane, mark: number): Promise<void> {
    this.marks[lane] = mark;
    return Promise.resolve();
  }

  onCommitted(listener: () => void): () => void {
    this.#listener = listener;
    return () => undefined;
  }
}

function row(seq: number): ResultBlock['rows'][number] {
  const value = { text: 'x'.repeat(800) };
  const windows = { windowStart: null, windowEnd: null, time: 0, revision: 1, at: 0 };
  return {
    seq,
    kind: 'result',
    job: 'j',
    version: 1,
    step: 's',
    dataset: 'd',
    key: null,
    value,
    ...windows,
  };
}

/** The control plane's side of a lane: applies blocks under the mark, as intake does. */
class Intake {
  readonly seen: ResultBlock[] = [];
  readonly marks = new Map<Lane, number>();
  readonly inFlight = new Map<Lane, number>();
  inFlightMax = 0;
  fail: ((block: ResultBlock) => void) | null = null;

  link(): Link {
    return {
      server: 'test',
      closed: new Promise(() => undefined),
      heartbeat: () => undefined,
      close: () => Promise.resolve(),
      request: async (_kind, body) => {
        const bytes = body[0] === 0x1f ? gunzipSync(body) : Buffer.from(body);
        const block = resultBlock.parse(JSON.parse(bytes.toString('utf8')));
        this.inFlight.set(block.lane, (this.inFlight.get(block.lane) ?? 0) + 1);
        this.inFlightMax = Math.max(this.inFlightMax, this.inFlight.get(block.lane) ?? 0);
        await Promise.resolve();
        this.inFlight.set(block.lane, (this.inFlight.get(block.lane) ?? 0) - 1);
        this.seen.push(block);
        this.fail?.(block);
        const mark = this.marks.get(block.lane) ?? 0;
        const next = block.after <= mark && mark < block.last ? block.last : mark;
        this.marks.set(block.lane, next);
        return { v: 1, epoch: block.epoch, lane: block.lane, mark: next };
      },
    };
  }
}

let rows: Rows;
let intake: Intake;
let sender: ResultsSender;
const makeSender = (bucket: TokenBucket | null = null): ResultsSender =>
  new ResultsSender({
    outbox: rows,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
    bucket,
  });
beforeEach(() => {
  rows = new Rows();
  intake = new Intake();
  sender = makeSender();
});
afterEach(() => sender.close());

describe('sending', () => {
  it('drains every lane in order with one block of each in flight', async () => {
    rows.add('results', 10);
    rows.add('alerts', 4);
    sender.start(intake.link());
    await waitFor('both lanes', () => rows.marks.results === 10 && rows.marks.alerts === 4);
    expect(intake.inFlightMax).toBe(1);
    const results = intake.seen.filter(({ lane }) => lane === 'results');
    expect(results.map(({ after }) => after)).toEqual([0, 3, 6, 9]);
  });

  it('goes on by itself when a commit adds rows', async () => {
    sender.start(intake.link());
    rows.add('results', 1);
    await waitFor('the first', () => rows.marks.results === 1);
    rows.add('results', 1);
    await waitFor('the second', () => rows.marks.results === 2);
  });

  it('packs what is worth packing', async () => {
    rows.add('results', 3);
    sender.start(intake.link());
    await waitFor('the rows', () => rows.marks.results === 3);
    expect(sender.counters.bytesSent).toBeLessThan(sender.counters.bytesBeforeCompression / 3);
  });
});

describe('when the answer does not come', () => {
  it('deletes nothing and sends the same block again', async () => {
    rows.add('results', 3);
    let failures = 2;
    intake.fail = () => {
      if (failures-- > 0) throw new RunnelError('timeout', 'no answer', { retry: 'backoff' });
    };
    sender.start(intake.link());
    await waitFor('a failure', () => intake.seen.length === 1);
    expect(rows.marks.results).toBe(0);
    await waitFor('the rows', () => rows.marks.results === 3);
    expect(sender.counters.blocksResent).toBe(2);
  });

  it('an answer for another lane is not taken as the mark', async () => {
    rows.add('results', 3);
    const link = intake.link();
    let bent = 0;
    sender.start({
      ...link,
      request: async (kind, body, timeoutMs) => {
        const reply = (await link.request(kind, body, timeoutMs)) as object;
        return bent++ === 0 ? { ...reply, lane: 'alerts', mark: 99 } : reply;
      },
    });
    await waitFor('a second try', () => bent >= 2);
    await waitFor('the rows', () => rows.marks.results === 3);
    expect(rows.marks.alerts).toBe(0);
  });

  it('stops at once, also in a pause, and starts again on another connection', async () => {
    rows.add('results', 3);
    intake.fail = () => {
      throw new RunnelError('timeout', 'no answer');
    };
    sender.start(intake.link());
    await waitFor('a failure', () => intake.seen.length > 0);
    await sender.stop();
    intake.fail = null;
    sender.start(intake.link());
    await waitFor('the rows', () => rows.marks.results === 3);
  });

  it('a control plane restored from a backup gets what it lacks, with no hot loop', async () => {
    rows.marks.results = 5;
    rows.heads.results = 8;
    intake.marks.set('results', 2);
    sender.start(intake.link());
    await waitFor('the mark of the control plane', () => rows.marks.results === 2);
    await waitFor('the rest', () => rows.marks.results === 8);
    expect(intake.seen.length).toBeLessThan(6);
  });
});

/** Lane of each block, in the order in which they were sent. */
const lanesSent = (): Lane[] => intake.seen.map(({ lane }) => lane);

describe('the order of the lanes', () => {
  it('sends all that is urgent before results, and these before bulk', async () => {
    for (const lane of ['bulk', 'results', 'urgent'] as const) rows.add(lane, 9);
    sender.start(intake.link());
    await waitFor('all rows', () => rows.marks.bulk === 9);
    const each = (lane: Lane): Lane[] => [lane, lane, lane];
    // The last block of a lane has nothing behind it: the next lane may begin beside it.
    expect(lanesSent().toSorted()).toEqual([
      ...each('bulk'),
      ...each('results'),
      ...each('urgent'),
    ]);
    const last = (lane: Lane): number => lanesSent().lastIndexOf(lane);
    const first = (lane: Lane): number => lanesSent().indexOf(lane);
    expect(first('results')).toBeGreaterThanOrEqual(last('urgent'));
    expect(first('bulk')).toBeGreaterThanOrEqual(last('results'));
  });

  it('lets the others go on beside a trickle of urgent rows', async () => {
    rows.add('bulk', 30);
    intake.fail = ({ lane }) => {
      if (lane === 'urgent' && rows.heads.urgent < 1000) rows.add('urgent', 1);
    };
    rows.add('urgent', 1);
    sender.start(intake.link());
    await waitFor('bulk', () => rows.marks.bulk === 30);
    expect(rows.heads.urgent).toBeLessThan(1000);
  });

  it('holds up nobody by a lane that the control plane refuses', async () => {
    intake.fail = ({ lane }) => {
      if (lane === 'urgent') throw new RunnelError('protocol', 'what is urgent?');
    };
    rows.add('urgent', 9);
    rows.add('results', 9);
    sender.start(intake.link());
    await waitFor('the results', () => rows.marks.results === 9);
    expect(rows.marks.urgent).toBe(0);
    intake.fail = null;
    await waitFor('the urgent rows', () => rows.marks.urgent === 9);
  });
});

describe('a metered link', () => {
  it('gives its rate to what is urgent, though a block of bulk has been waiting', async () => {
    const bucket = new TokenBucket({ clock: systemClock, bytesPerSecond: 4000, burstBytes: 600 });
    bucket.spend(1000);
    await sender.close();
    sender = makeSender(bucket);
    rows.add('bulk', 6);
    sender.start(intake.link());
    await waitFor('the block of bulk to wait', () => bucket.waitMs(1) > 0);
    rows.add('urgent', 6);
    await waitFor('all', () => rows.marks.bulk === 6);
    expect(lanesSent()).toEqual(['urgent', 'urgent', 'bulk', 'bulk']);
  });

  it('lets alerts go first and results wait for their turn', async () => {
    const bucket = new TokenBucket({ clock: systemClock, bytesPerSecond: 2000, burstBytes: 200 });
    bucket.spend(1200);
    await sender.close();
    sender = makeSender(bucket);
    const began = performance.now();
    rows.add('results', 1);
    rows.add('alerts', 1);
    sender.start(intake.link());
    await waitFor('both', () => rows.marks.results === 1 && rows.marks.alerts === 1);
    expect(intake.seen[0]?.lane).toBe('alerts');
    expect(performance.now() - began).toBeGreaterThan(500);
  });
});
