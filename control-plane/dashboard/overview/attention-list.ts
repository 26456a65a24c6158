/**
 * What needs a person, as the lines of the overview: from devices, rollouts, SLAs and alerts to one
 * list, worst first. Pure.
 *
 * One trouble is one line, although it may be known twice: a device that is offline has an alert
 * too. Its line then carries the alert, and stands apart ("taken") once a person acknowledged or
 * silenced it. Alike troubles of many devices or series are one line with their number, so that a
 * site that lost its network does not bury the rest.
 */
import type { AlertItem } from '../../http/alert-messages.ts';
import type { AgentItem, AttentionItem, Severity } from '../../http/live-messages.ts';
import type { RolloutItem } from '../../http/rollout-messages.ts';
import type { SlaItem } from '../../http/sla-messages.ts';
import { attentionOf, type Cause, SEVERITY_RANK } from '../fleet/attention.ts';
import { plural } from '../format/amount.ts';
import { reasonSentence, rolloutTrouble } from '../jobs/rollout-words.ts';
import { paths } from '../router.ts';

export type AttentionKind = 'rollout' | 'approval' | 'sla' | 'alert' | 'device';

export interface AttentionPlace {
  readonly text: string;
  readonly href: string;
}

export interface AttentionLine {
  readonly key: string;
  readonly kind: AttentionKind;
  readonly severity: Exclude<Severity, 'ok'>;
  /** What is wrong, in a few words. */
  readonly what: string;
  /** Where, as links; the first few of many. */
  readonly places: readonly AttentionPlace[];
  /** How many places are not named. */
  readonly placesMore: number;
  readonly since: number | null;
  /** One sentence. */
  readonly cause: string;
  /** Where a person acts. */
  readonly href: string;
  readonly act: string;
  /** Null: nobody has said that they know. */
  readonly taken: 'acknowledged' | 'silenced' | null;
}

export interface AttentionList {
  /** Worst first. */
  readonly open: readonly AttentionLine[];
  /** A person knows of these. */
  readonly taken: readonly AttentionLine[];
}

/** One trouble in one place, before alike ones come together. */
interface Trouble {
  /** Alike troubles have the same. */
  readonly group: string;
  readonly kind: AttentionKind;
  readonly severity: Exclude<Severity, 'ok'>;
  readonly what: string;
  /** For several: what stands instead of the name of the one place. */
  readonly whatMany: (count: number) => string;
  readonly place: AttentionPlace | null;
  readonly since: number | null;
  readonly cause: string;
  readonly href: string;
  readonly hrefMany: string;
  readonly act: string;
  /** For several; `act` where it is the same. */
  readonly actMany?: string;
  /** Open alerts that say the same. */
  readonly alerts: readonly AlertItem[];
}

const PLACES_MAX = 3;
const KIND_RANK: readonly AttentionKind[] = ['rollout', 'approval', 'sla', 'alert', 'device'];

export function attentionList(agents: Iterable<AgentItem>, seen: AttentionItem): AttentionList {
  const alerts = new AlertIndex(seen.alerts);
  const troubles = [
    ...seen.rollouts.flatMap((rollout) => rolloutTroubles(rollout, alerts)),
    ...seen.slas.flatMap((sla) => slaTroubles(sla, alerts)),
    ...[...agents].flatMap((agent) => deviceTroubles(agent, alerts)),
  ];
  const lines = merge([...troubles, ...alerts.untold().map(alertTrouble)]).sort(worstFirst);
  return {
    open: lines.filter(({ taken }) => taken === null),
    taken: lines.filter(({ taken }) => taken !== null),
  };
}

function worstFirst(a: AttentionLine, b: AttentionLine): number {
  return (
    SEVERITY_RANK[b.severity] - SEVERITY_RANK[a.severity] ||
    KIND_RANK.indexOf(a.kind) - KIND_RANK.indexOf(b.kind) ||
    (b.since ?? 0) - (a.since ?? 0) ||
    (a.key < b.key ? -1 : 1)
  );
}

/** Finds the alerts of a trouble, and remembers which were found. */
class AlertIndex {
  readonly #alerts: readonly AlertItem[];
  readonly #told = new Set<AlertItem>();

  constructor(alerts: readonly AlertItem[]) {
    this.#alerts = alerts;
  }

  of(matches: (alert: AlertItem) => boolean): AlertItem[] {
    const found = this.#alerts.filter(matches);
    for (const alert of found) this.#told.add(alert);
    return found;
  }

  untold(): AlertItem[] {
    return this.#alerts.filter((alert) => !this.#told.has(alert));
  }
}

function rolloutTroubles(rollout: RolloutItem, alerts: AlertIndex): Trouble[] {
  const trouble = rolloutTrouble(rollout);
  const own = alerts.of(({ source, job }) => source === 'rollout' && job === rollout.job);
  if (trouble === null) return [];
  const href = paths.job(rollout.job, 'rollout');
  return [
    {
      ...{ ...trouble, group: `rollout ${rollout.id}`, href, hrefMany: href, alerts: own },
      whatMany: () => trouble.what,
      place: { text: rollout.job, href },
      since: rollout.since,
      cause: reasonSentence(rollout),
    },
  ];
}

/** Promises that are at risk are still kept; unreachable ones stand with their devices. */
function slaTroubles(item: SlaItem, alerts: AlertIndex): Trouble[] {
  const own = alerts.of(
    (alert) =>
      alert.source === 'sla' &&
      alert.job === item.job &&
      (item.agent === null || alert.agent === null || alert.agent === item.agent) &&
      (alert.labels.sla === undefined || alert.labels.sla === item.sla),
  );
  if (item.verdict !== 'breached' && item.verdict !== 'atRisk') return [];
  const breached = item.verdict === 'breached';
  const word = breached ? 'breached' : 'at risk';
  const href = paths.job(item.job, 'slas');
  return [
    {
      group: `sla ${item.job} ${item.sla} ${item.verdict}`,
      kind: 'sla',
      severity: breached ? 'error' : 'warning',
      what: `SLA ${item.sla} of ${item.job} is ${word}`,
      whatMany: (count) => `SLA ${item.sla} of ${item.job} is ${word} on ${count} devices`,
      place:
        item.agent === null
          ? { text: 'whole fleet', href }
          : { text: item.agentName ?? item.agent, href: paths.device(item.agent) },
      since: item.since,
      cause: item.cause,
      href,
      hrefMany: href,
      act: 'See the SLA',
      alerts: own,
    },
  ];
}

function deviceTroubles(agent: AgentItem, alerts: AlertIndex): Trouble[] {
  const { causes } = attentionOf(agent);
  const own = alerts.of(
    ({ source, agent: id }) =>
      id === agent.id && (source === 'device' || source === 'condition' || source === 'run'),
  );
  return causes
    .filter(({ severity }) => severity === 'error' || severity === 'warning')
    .map((cause) => deviceTrouble(agent, cause, own.filter(alertMatcher(agent, cause))));
}

/** Which of a device's alerts are about this cause. */
function alertMatcher(agent: AgentItem, cause: Cause): (alert: AlertItem) => boolean {
  if (agent.status === 'pending') return ({ labels }) => labels.reason === 'pending';
  if (cause.run !== undefined) return ({ source, job }) => source === 'run' && job === cause.job;
  if (cause.condition !== undefined) {
    const label = cause.condition.replaceAll(/[,()=!\s\0]/g, '_');
    return ({ labels }) => labels.condition === label;
  }
  return ({ labels }) => cause.ofConnection === true && labels.reason === agent.connection;
}

function deviceTrouble(agent: AgentItem, cause: Cause, alerts: readonly AlertItem[]): Trouble {
  const place = { text: agent.name, href: paths.device(agent.id) };
  const severity = cause.severity === 'error' ? 'error' : 'warning';
  const base = { severity, place, since: cause.since, href: place.href, alerts } as const;
  if (agent.status === 'pending') {
    return {
      ...base,
      ...{ group: 'pending', kind: 'approval', what: `${agent.name} waits for approval` },
      whatMany: (count) => `${plural(count, 'device')} wait for approval`,
      cause: 'It enrolled under a name that another device has.',
      hrefMany: `${paths.devices}?state=pending`,
      act: 'Decide',
    };
  }
  const shared = {
    ...base,
    kind: 'device',
    act: 'See the device',
    actMany: 'See the devices',
  } as const;
  if (cause.ofConnection === true && cause.condition === undefined) {
    const { connection } = agent;
    return {
      ...shared,
      ...{ group: connection, what: `${agent.name} is ${connection}` },
      whatMany: (count) => `${plural(count, 'device')} ${count === 1 ? 'is' : 'are'} ${connection}`,
      cause: OFFLINE_CAUSES[connection] ?? cause.text,
      hrefMany: `${paths.devices}?state=${connection}`,
    };
  }
  const href = cause.run === undefined ? base.href : paths.run(cause.run, agent.id);
  return {
    ...shared,
    ...{ group: `device ${cause.job ?? ''} ${cause.condition ?? ''} ${cause.text}`, href },
    ...(cause.run === undefined ? {} : { act: 'See the run' }),
    what: `${agent.name}: ${cause.what ?? 'needs attention'}`,
    whatMany: (count) => `${plural(count, 'device')}: ${cause.what ?? 'need attention'}`,
    cause: cause.text,
    hrefMany: `${paths.devices}?state=attention`,
  };
}

const OFFLINE_CAUSES: Readonly<Record<string, string>> = {
  offline: 'No heartbeat for five intervals: it is off, or its network is cut.',
  late: 'Heartbeats are missing, not yet enough to call it offline.',
};

/** What no line has told yet: above all what the steps of jobs raise. */
function alertTrouble(alert: AlertItem): Trouble {
  const { agent, agentName, job } = alert;
  const device = agent === null ? null : { text: agentName ?? agent, href: paths.device(agent) };
  const ofJob = job === null ? null : { text: job, href: paths.job(job) };
  return {
    group: `alert ${alert.source} ${job ?? ''} ${alert.title} ${alert.severity}`,
    kind: 'alert',
    severity: alert.severity,
    what: alert.title,
    whatMany: (count) => `${alert.title} on ${count} devices`,
    place: device ?? ofJob,
    since: alert.startedAt,
    cause: alert.message,
    href: alert.link || paths.alerts(),
    hrefMany: paths.alerts(),
    act: 'See more',
    alerts: [alert],
  };
}

function merge(troubles: readonly Trouble[]): AttentionLine[] {
  const groups = new Map<string, Trouble[]>();
  for (const trouble of troubles) {
    const taken = takenBy(trouble.alerts);
    const key = `${trouble.group}${taken === null ? '' : ` (${taken})`}`;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [trouble]);
    else members.push(trouble);
  }
  return [...groups].map(([key, members]) => lineOf(key, members));
}

function lineOf(key: string, members: readonly Trouble[]): AttentionLine {
  const [first] = members;
  if (first === undefined) throw new Error('a group of troubles is never empty');
  const { kind, severity, cause } = first;
  const places = distinct(members.flatMap(({ place }) => place ?? []));
  const many = places.length > 1;
  return {
    ...{ key, kind, severity, cause },
    what: many ? first.whatMany(places.length) : first.what,
    places: places.slice(0, PLACES_MAX),
    placesMore: Math.max(0, places.length - PLACES_MAX),
    since: earliest(members.map(({ since }) => since)),
    href: many ? first.hrefMany : first.href,
    act: (many ? first.actMany : undefined) ?? first.act,
    taken: takenBy(first.alerts),
  };
}

/** A trouble is taken when every alert of it is. */
function takenBy(alerts: readonly AlertItem[]): AttentionLine['taken'] {
  if (alerts.length === 0 || alerts.some(({ state }) => state === 'firing')) return null;
  return alerts.some(({ state }) => state === 'silenced') ? 'silenced' : 'acknowledged';
}

function distinct(places: readonly AttentionPlace[]): AttentionPlace[] {
  return [...new Map(places.map((place) => [place.href, place])).values()];
}

function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}
