/**
 * Prometheus Alertmanager, API v2. It groups, silences and routes by itself, so it is told at once
 * and of every alert, and told again, whoever has taken it on here, before it would take one for
 * resolved. It tells alerts apart by all of their labels: one whose severity is another ends under
 * the one before, and what may change besides (`reason`) is an annotation.
 */
import { limits } from '@runnel/shared/limits.ts';
import { z } from 'zod';
import type { AlertItem } from '../../http/alert-messages.ts';
import type { Message } from './message.ts';
import { post } from './post.ts';
import { caSetting, defineReceiver, timeSettings, timesOf, urlSetting } from './receiver-kind.ts';

const TIMES = { groupWaitMs: 0, groupIntervalMs: 15_000, repeatMs: 5 * 60_000 };
/** Missed repeats after which Alertmanager takes an alert for resolved. */
const REPEATS_MISSED = 4;

export const alertmanager = defineReceiver({
  settings: z.strictObject({ ...timeSettings, url: urlSetting, ca: caSetting }),
  secrets: ['authorization'],
  times: TIMES,
  tellsAll: false,
  async send({ message, settings, secrets, signal }) {
    const until = message.at + REPEATS_MISSED * timesOf(TIMES, settings).repeatMs;
    const { authorization } = secrets;
    // By alert: what it is and the end of what it was go together.
    const entries = [
      ...message.firing.map((alert) => firingOf(alert, until, message)),
      ...message.resolved.map((alert) => [endOf(alert, alert.endedAt ?? message.at, message)]),
    ];
    const headers = {
      'content-type': 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    };
    const url = `${settings.url.replace(/\/+$/, '')}/api/v2/alerts`;
    for (let start = 0; start < entries.length; start += limits.notificationAlertsMax) {
      const part = entries.slice(start, start + limits.notificationAlertsMax);
      const body = JSON.stringify(part.flat());
      await post({ url, headers, body, ca: settings.ca }, signal);
    }
  },
});

/** It, and the end of what it was told as before. */
function firingOf(alert: AlertItem, until: number, message: Message) {
  const was = message.was.get(alert.id) ?? alert.severity;
  const entry = entryOf(alert, alert.severity, until, message);
  return was === alert.severity ? [entry] : [entry, endOf(alert, message.at, message)];
}

/** Of what it was told as. */
function endOf(alert: AlertItem, at: number, message: Message) {
  return entryOf(alert, message.was.get(alert.id) ?? alert.severity, at, message);
}

function entryOf(alert: AlertItem, severity: string, endsAt: number, { page }: Message) {
  const { reason, ...given } = alert.labels;
  const labels = Object.entries({ ...given, severity });
  return {
    labels: {
      ...Object.fromEntries(labels.map(([name, value]) => [labelName(name), value])),
      alertname: `runnel_${alert.source}`,
      runnel_alert: alert.id,
    },
    annotations: {
      summary: alert.title,
      description: alert.message,
      ...(reason === undefined ? {} : { reason }),
    },
    startsAt: new Date(alert.startedAt).toISOString(),
    endsAt: new Date(Math.max(endsAt, alert.startedAt)).toISOString(),
    ...(page === '' ? {} : { generatorURL: `${page}${alert.link}` }),
  };
}

function labelName(name: string): string {
  return name.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_');
}
