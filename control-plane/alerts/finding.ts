/**
 * What a source of alerts says: a thing is wrong, or it no longer is. The fingerprint says which
 * thing; whoever says the same again says it of the same alert.
 */
import { createHash } from 'node:crypto';
import { limits } from '@runnel/shared/limits.ts';
import type { AlertSource } from '../http/alert-messages.ts';
import type { AgentRecord } from '../store/agents.ts';
import type { AlertRecord } from '../store/alerts.ts';
import { storableText } from '../store/storable-text.ts';
import type { AlertSeverity } from './alert-state.ts';

export interface Finding {
  readonly fingerprint: string;
  readonly source: AlertSource;
  readonly severity: AlertSeverity;
  readonly title: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly agent: string | null;
  readonly job: string | null;
  readonly link: string;
}

/** The same parts always give the same text, of 32 characters. */
export function fingerprintOf(source: AlertSource, ...parts: readonly string[]): string {
  const text = JSON.stringify([source, ...parts]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Texts come from devices and people: cut, and as every store takes them. */
export function alertText(text: string): string {
  return storableText(text, limits.alertTextCharsMax);
}

/**
 * Labels of what concerns a device: its own, the built-in ones, and `agent`, its name. What is said
 * of the alert itself is stronger than a label of the same name.
 */
export function agentLabels({ labels, platform, name, id }: AgentRecord): Record<string, string> {
  return { ...labels, arch: platform.arch, os: platform.os, agent: name, agentId: id };
}

/** What silences and routes match. */
export function alertLabels({
  labels,
  source,
  severity,
}: Pick<AlertRecord, 'labels' | 'source' | 'severity'>): ReadonlyMap<string, string> {
  return new Map([...Object.entries(labels), ['source', source], ['severity', severity]]);
}

/** Alerts of one group are told together: those of one source, job and site. */
export function groupKeyOf({
  source,
  job,
  labels,
}: Pick<AlertRecord, 'source' | 'job' | 'labels'>): string {
  return JSON.stringify([source, job ?? '', labels.site ?? '']);
}

/** Where a person sees more of a device. */
export const agentLink = (agent: string): string => `/devices/${encodeURIComponent(agent)}`;
export const jobLink = (job: string): string => `/jobs/${encodeURIComponent(job)}`;
