/**
 * What the crash tests publish, from one seed, and what must come out of it: an oracle that knows
 * nothing of the engine (plain loops over the full list).
 */
import { seededRandom } from '@runnel/shared/random.ts';

export interface Message {
  readonly topic: string;
  readonly payload: string;
}

export interface WindowTotals {
  readonly n: number;
  readonly total: number;
  readonly low: number;
  readonly high: number;
}

export interface Workload {
  readonly messages: readonly Message[];
  /** By `key@windowStart`. */
  readonly expected: ReadonlyMap<string, WindowTotals>;
  /** Its event time lies beyond every window: it closes them all, and belongs to none above. */
  readonly closing: Message;
}

const WINDOW_MS = 10_000;
const STEP_MS = 5;
/** As in the job: event times are out of order within this bound. */
export const OUT_OF_ORDER_MS = 20_000;
const KEYS = 50;

export function makeWorkload(seed: number, count: number, startMs: number): Workload {
  const random = seededRandom(seed);
  const expected = new Map<string, { n: number; total: number; low: number; high: number }>();
  const messages: Message[] = [];
  const base = startMs - (startMs % WINDOW_MS);
  for (let index = 0; index < count; index += 1) {
    const key = `m${Math.floor(random.next() * KEYS)}`;
    // Half of the bound is left for the reordering that reconnections bring.
    const ts = base + OUT_OF_ORDER_MS + index * STEP_MS;
    const shifted = ts - Math.floor(random.next() * (OUT_OF_ORDER_MS / 2));
    const value = Math.floor(random.next() * 1000) - 500;
    messages.push({
      topic: `press/${key}/vibration`,
      payload: JSON.stringify({ machine: key, ts: shifted, v: value, i: index }),
    });
    const id = `${key}@${shifted - (shifted % WINDOW_MS)}`;
    const totals = expected.get(id) ?? { n: 0, total: 0, low: Infinity, high: -Infinity };
    totals.n += 1;
    totals.total += value;
    totals.low = Math.min(totals.low, value);
    totals.high = Math.max(totals.high, value);
    expected.set(id, totals);
  }
  const end = base + count * STEP_MS + 4 * OUT_OF_ORDER_MS;
  return {
    messages,
    expected,
    closing: {
      topic: 'press/closing/vibration',
      payload: JSON.stringify({ machine: 'closing', ts: end, v: 0, i: count }),
    },
  };
}

/** The job under test; without `url` it reads the agent's embedded broker. */
export function crashJob(url?: string): string {
  const broker = url === undefined ? '' : `url: "${url}", `;
  return `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: crash }
sources:
  readings:
    mqtt: { ${broker}topic: "press/+/vibration", qos: 1 }
    time: "payload.ts"
    maxOutOfOrderness: ${OUT_OF_ORDER_MS}ms
    maxAhead: 30d
steps:
  - filter: "payload.v > -1000"
  - id: totals
    window: { tumbling: 10s, by: "payload.machine" }
    aggregate:
      n: "count()"
      total: "sum(payload.v)"
      low: "min(payload.v)"
      high: "max(payload.v)"
sinks:
  - { from: totals, results: { dataset: totals } }
`;
}
