/**
 * A group's state as the store has it: JSON with a version. What cannot be read begins anew, which
 * tells a receiver twice rather than never.
 */
import { z } from 'zod';
import { type GroupState, NEW_GROUP } from './notify-state.ts';

const VERSION = 1;

const told = z.record(z.string(), z.number());
const openAlert = z.object({ id: z.string(), rank: z.number() });
const common = { told, notBefore: z.number(), sentAt: z.number().nullable() };
const underWay = {
  ...common,
  id: z.string(),
  attempt: z.number(),
  content: z.object({
    firing: z.array(openAlert),
    resolved: z.array(z.string()),
    more: z.array(openAlert),
    // Not in states of earlier releases.
    was: told.default({}),
  }),
};

const stored = z.object({
  v: z.literal(VERSION),
  state: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('quiet'), ...common }),
    z.object({ kind: z.literal('waiting'), ...common, dueAt: z.number() }),
    z.object({ kind: z.literal('sending'), ...underWay }),
    z.object({ kind: z.literal('retrying'), ...underWay, dueAt: z.number() }),
  ]),
});

export function encodeGroup(state: GroupState): string {
  return JSON.stringify({ v: VERSION, state });
}

export function decodeGroup(text: string): GroupState {
  const parsed = stored.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data.state : NEW_GROUP;
}
