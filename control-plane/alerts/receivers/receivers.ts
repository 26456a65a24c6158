/**
 * The receivers that there are: checked when they are set, in memory and in the store. Bounded by
 * `limits.receiversMax`; one more is refused.
 */
import { RunnelError } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { pathText } from '@runnel/shared/definitions/path.ts';
import { type Selector, selectorMatches } from '@runnel/shared/definitions/selector.ts';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { ReceiverItem } from '../../http/alert-messages.ts';
import { parseSelector } from '../../rollouts/selector.ts';
import type { AlertRecord } from '../../store/alerts.ts';
import {
  allReceivers,
  deleteReceiver,
  putReceiver,
  type ReceiverRecord,
  setReceiverOutcome,
} from '../../store/receivers.ts';
import type { Schema } from '../../store/schema.ts';
import { severityRank } from '../alert-state.ts';
import { alertLabels } from '../finding.ts';
import type { NotifyPolicy } from '../notify-state.ts';
import { exposedIn } from './exposed.ts';
import type { Message } from './message.ts';
import { failed } from './post.ts';
import { timesOf } from './receiver-kind.ts';
import { RECEIVER_KINDS } from './registry.ts';
import { readSecret, secretOrigin, type SecretPlace, secretValue } from './secrets.ts';

const secretsShape = z.record(z.string(), secretValue);

/** As a person sets one; a secret that is not named stays as it is, null takes it away. */
export interface ReceiverInput extends Pick<
  ReceiverItem,
  'kind' | 'selector' | 'severity' | 'sendResolved' | 'settings'
> {
  readonly secrets: Readonly<Record<string, unknown>>;
}

interface Kept {
  readonly record: ReceiverRecord;
  readonly selector: Selector;
  readonly policy: NotifyPolicy;
}

export class Receivers {
  readonly #db: Kysely<Schema>;
  readonly #place: SecretPlace;
  readonly #kept = new Map<string, Kept>();

  static async open(db: Kysely<Schema>, place: SecretPlace): Promise<Receivers> {
    const receivers = new Receivers(db, place);
    for (const record of await allReceivers(db)) receivers.#keep(record);
    return receivers;
  }

  private constructor(db: Kysely<Schema>, place: SecretPlace) {
    this.#db = db;
    this.#place = place;
  }

  names(): string[] {
    return [...this.#kept.keys()];
  }

  list(): ReceiverItem[] {
    return [...this.#kept.values()]
      .map(({ record }) => receiverItem(record))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  get(name: string): ReceiverItem | undefined {
    const kept = this.#kept.get(name);
    return kept === undefined ? undefined : receiverItem(kept.record);
  }

  policyOf(name: string): NotifyPolicy | undefined {
    return this.#kept.get(name)?.policy;
  }

  /** Whether this alert is for this receiver. */
  takes(name: string, alert: AlertRecord): boolean {
    const kept = this.#kept.get(name);
    if (kept === undefined) return false;
    if (severityRank(alert.severity) < severityRank(kept.record.severity)) return false;
    return selectorMatches(kept.selector, alertLabels(alert));
  }

  /**
   * `isNew`: it must not take the place of another. Errors: `receiver_invalid`, `receiver_exists`,
   * `selector_invalid`, `receivers_exhausted`.
   */
  async put(
    name: string,
    input: ReceiverInput,
    { isNew = false }: { readonly isNew?: boolean } = {},
  ): Promise<ReceiverItem> {
    const before = this.#kept.get(name)?.record;
    if (isNew && before !== undefined) throw taken(name);
    if (before === undefined && this.#kept.size >= limits.receiversMax) {
      throw new RunnelError('receivers_exhausted', `there are ${limits.receiversMax} receivers`);
    }
    const record: ReceiverRecord = {
      name,
      kind: input.kind,
      selector: input.selector,
      severity: input.severity,
      sendResolved: input.sendResolved,
      settings: input.settings,
      secrets: secretsOf(input, before),
      lastSentAt: before?.lastSentAt ?? null,
      lastError: null,
    };
    check(record);
    parseSelector(record.selector);
    await putReceiver(this.#db, record);
    this.#keep(record);
    return receiverItem(record);
  }

  /** False when there is none. */
  async delete(name: string): Promise<boolean> {
    this.#kept.delete(name);
    return await deleteReceiver(this.#db, name);
  }

  /** Rejects with `receiver_failed`. */
  async send(message: Message, signal: AbortSignal): Promise<void> {
    const record = this.#kept.get(message.receiver)?.record;
    if (record === undefined) throw failed('the receiver was deleted', 'never');
    const secrets: Record<string, string> = {};
    for (const [name, value] of Object.entries(secretsShape.parse(record.secrets))) {
      secrets[name] = await readSecret(value, this.#place);
    }
    const { settings } = record;
    await RECEIVER_KINDS[record.kind].send({ message, settings, secrets, signal });
  }

  /** What the newest attempt came to; null: it was taken. */
  async told(db: Kysely<Schema>, name: string, at: number, error: string | null): Promise<void> {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    const lastSentAt = error === null ? at : kept.record.lastSentAt;
    const record = { ...kept.record, lastSentAt, lastError: error };
    await setReceiverOutcome(db, record);
    this.#kept.set(name, { ...kept, record });
  }

  #keep(record: ReceiverRecord): void {
    const kind = RECEIVER_KINDS[record.kind];
    this.#kept.set(record.name, {
      record,
      selector: parseSelector(record.selector),
      policy: {
        ...timesOf(kind.times, record.settings),
        sendResolved: record.sendResolved,
        alertsMax: kind.tellsAll ? limits.notificationAlertsMax : limits.alertsOpenMax,
        tellsAll: kind.tellsAll,
      },
    });
  }
}

function taken(name: string): RunnelError {
  return new RunnelError('receiver_exists', `there is a receiver ${name}`, {
    hint: 'choose another name, or change the one that is there',
    fields: { issues: [{ path: 'name', message: 'there is one of this name' }] },
  });
}

/** Those of before that are not named stay, unless they would mean or reach something else. */
function secretsOf(
  { kind, settings, secrets }: ReceiverInput,
  before: ReceiverRecord | undefined,
): Readonly<Record<string, unknown>> {
  const kept = before?.kind === kind ? before.secrets : {};
  const merged = present({ ...kept, ...secrets });
  const isSameHost =
    before !== undefined && hostOf(settings, merged) === hostOf(before.settings, kept);
  return isSameHost ? merged : present(secrets);
}

function present(secrets: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(secrets).filter(([, value]) => value !== null));
}

/** Where it sends to; an address that is kept elsewhere is known by its place. */
function hostOf(
  settings: Readonly<Record<string, unknown>>,
  secrets: Readonly<Record<string, unknown>>,
): string {
  const address = secrets['url'] ?? settings['url'] ?? settings['host'];
  if (typeof address !== 'string') return JSON.stringify(address ?? null);
  return URL.canParse(address) ? new URL(address).host : address;
}

function check({ kind, settings, secrets }: ReceiverRecord): void {
  const known = RECEIVER_KINDS[kind];
  const parsed = known.settings.safeParse(settings);
  if (!parsed.success) throw unfit('settings', parsed.error);
  const issues = exposedIn(settings, known.secrets);
  const [exposed] = issues;
  if (exposed !== undefined) {
    const message = `${exposed.path}: ${exposed.message}`;
    throw new RunnelError('receiver_invalid', message, { fields: { issues } });
  }
  const read = secretsShape.safeParse(secrets);
  if (!read.success) throw unfit('secrets', read.error);
  const foreign = Object.keys(secrets).find((name) => !known.secrets.includes(name));
  if (foreign !== undefined) {
    throw invalid(`a receiver of kind ${kind} has no secret "${foreign}"`, known.secrets);
  }
  const needsUrl = known.secrets.includes('url');
  if (needsUrl && !('url' in secrets) && !('url' in settings)) {
    const message = 'it needs an address: settings.url, or secrets.url when it is a secret';
    throw new RunnelError('receiver_invalid', message, {
      fields: { issues: [{ path: 'settings.url', message: 'it needs one, here or as a secret' }] },
    });
  }
}

/** With every field that is wrong, for whoever fills them in. */
function unfit(part: 'settings' | 'secrets', error: z.ZodError): RunnelError {
  const issues = error.issues.map(({ path, message }) => ({
    path: pathText([part, ...path.map((key) => (typeof key === 'number' ? key : String(key)))]),
    message: message.endsWith('received undefined') ? 'is needed' : message,
  }));
  return new RunnelError('receiver_invalid', `${part}: ${z.prettifyError(error)}`, {
    fields: { issues },
  });
}

function invalid(message: string, secrets?: readonly string[]): RunnelError {
  const hint = secrets === undefined ? {} : { hint: `it knows ${secrets.join(', ')}` };
  return new RunnelError('receiver_invalid', message, hint);
}

function receiverItem({ secrets, ...record }: ReceiverRecord): ReceiverItem {
  const origins = Object.entries(secretsShape.parse(secrets)).map(
    ([name, value]) => [name, secretOrigin(value)] as const,
  );
  return { ...record, secrets: Object.fromEntries(origins) };
}
