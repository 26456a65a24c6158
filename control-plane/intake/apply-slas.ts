/**
 * What a device tells of its promises into the store, in the transaction that moves the mark of its
 * lane: so each change of a verdict is in its history once, whenever it arrives. They come in the
 * order in which they happened, also those of a time in which the device could not be heard.
 *
 * Refused, without harm to the block: a row that does not parse. A device's clock may be wrong: its
 * times are kept as it told them, but never later than now, and never before what it told earlier.
 */
import type { Transaction } from 'kysely';
import { NAME } from '@runnel/shared/ids.ts';
import type { Row } from '@runnel/shared/protocol/results.ts';
import { SLA_EVENT, slaChange, type SlaChangeReport } from '@runnel/shared/protocol/sla.ts';
import type { Schema } from '../store/schema.ts';
import { putSlaChanges, type SlaChangeRecord } from '../store/slas.ts';

export const isSlaRow = ({ kind, dataset }: Pick<Row, 'kind' | 'dataset'>): boolean =>
  kind === 'event' && dataset === SLA_EVENT;

/** A promise that is kept from its beginning is no news: ten thousand devices have it. */
export function isSlaNews(row: Row): boolean {
  const { was, verdict } = (row.value ?? {}) as Partial<SlaChangeReport>;
  return was !== null || verdict !== 'met';
}

/** `rows` in the order of their lane. */
export async function applySlas(
  transaction: Transaction<Schema>,
  agent: string,
  rows: readonly Row[],
  now: number,
): Promise<void> {
  const changes: SlaChangeRecord[] = [];
  const latest = new Map<string, number>();
  for (const { job, time, value } of rows) {
    const { data } = slaChange.safeParse(value);
    if (data === undefined || !NAME.test(job)) continue;
    const { sla, kind, verdict, cause } = data;
    const key = `${job}/${sla}`;
    const at = Math.max(Math.min(Math.floor(time), now), latest.get(key) ?? 0);
    latest.set(key, at);
    const of = { line: 'device', judge: 'device', job, agent, sla, kind } as const;
    changes.push({ ...of, verdict, cause, at });
  }
  await putSlaChanges(transaction, changes);
}
