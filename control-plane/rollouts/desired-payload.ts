/**
 * The text that is signed for an agent: the JSON of a `desiredDocument`.
 *
 *   {"v":1,"agent":"…","revision":7,"issuedAt":1700000000000,<content>}
 *
 * The content (jobs, tables, heartbeat interval) is kept as text and shared by every agent that
 * has the same; its hash is what changes are judged by. So the payload of a revision is the same
 * bytes whenever it is asked for, also from a later release: an agent that has it is answered
 * `same`, and its signature (Ed25519, deterministic) need not be stored. Pure.
 */
import { createHash } from 'node:crypto';
import type { DesiredDocument, DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { DesiredRecord } from '../store/desired.ts';

type Content = Pick<DesiredDocument, 'jobs' | 'tables' | 'heartbeatIntervalMs'>;

/** The members without the braces around them. */
export function contentText(jobs: readonly DesiredJob[], heartbeatIntervalMs: number): string {
  const content: Content = { jobs: [...jobs], tables: [], heartbeatIntervalMs };
  return JSON.stringify(content).slice(1, -1);
}

export function payloadText(record: Omit<DesiredRecord, 'contentHash'>): string {
  const { agent, revision, issuedAt, content } = record;
  const head = JSON.stringify({ v: PROTOCOL_VERSION, agent, revision, issuedAt });
  return `${head.slice(0, -1)},${content}}`;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
