/** What needs a person goes out whole, to those who asked, and only when it changed. */
import { expect, it } from 'vitest';
import { LiveAttention } from '@runnel/control-plane/http/live-attention.ts';
import type { AttentionItem } from '@runnel/control-plane/http/live-messages.ts';

const calm: AttentionItem = {
  alerts: [],
  alertsMore: 0,
  slas: [],
  slaCounts: { met: 0, atRisk: 0, breached: 0, unreachable: 0 },
  rollouts: [],
  pending: 0,
};

function view() {
  let item = calm;
  let reads = 0;
  const sent: [client: object, message: unknown][] = [];
  const attention = new LiveAttention<object>({
    read: () => {
      reads += 1;
      return item;
    },
    send: (client, text) => sent.push([client, JSON.parse(text)]),
    now: () => 7,
  });
  return {
    attention,
    sent,
    reads: () => reads,
    set: (change: Partial<AttentionItem>) => (item = { ...calm, ...change }),
  };
}

it('answers whoever asks with how things are', async () => {
  const { attention, sent } = view();
  const client = {};
  await attention.watch(client);
  expect(sent).toEqual([[client, { type: 'attention', at: 7, ...calm }]]);
});

it('sends a change to all who watch, and nothing when only the sources stirred', async () => {
  const { attention, sent, set } = view();
  const [a, b] = [{}, {}];
  await attention.watch(a);
  await attention.watch(b);
  attention.changed();
  await attention.send();
  expect(sent).toHaveLength(2);
  set({ pending: 1 });
  attention.changed();
  await attention.send();
  expect(sent.slice(2)).toMatchObject([
    [a, { pending: 1 }],
    [b, { pending: 1 }],
  ]);
});

it('reads nothing while nobody watches', async () => {
  const { attention, reads } = view();
  attention.changed();
  expect(attention.touched).toBe(false);
  const client = {};
  await attention.watch(client);
  attention.unwatch(client);
  attention.changed();
  await attention.send();
  expect(reads()).toBe(1);
});
