/**
 * Prometheus Alertmanager, API v2. It groups, silences and routes by itself, so it is told at once
 * and of every alert, and told again before it would take one for resolved.
 */
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
    const body = JSON.stringify([
      ...message.firing.map((alert) => entryOf(alert, until, message)),
      ...message.resolved.map((alert) => entryOf(alert, alert.endedAt ?? message.at, message)),
    ]);
    const headers = {
      'content-type': 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    };
    const url = `${settings.url.replace(/\/+$/, '')}/api/v2/alerts`;
    await post({ url, headers, body, ca: settings.ca }, signal);
  },
});

function entryOf(alert: AlertItem, endsAt: number, { page }: Message) {
  const labels = Object.entries(alert.labels).map(([name, value]) => [labelName(name), value]);
  return {
    labels: {
      ...(Object.fromEntries(labels) as Record<string, string>),
      alertname: `runnel_${alert.source}`,
      // It tells alerts apart by their labels alone.
      runnel_alert: alert.id,
    },
    annotations: { summary: alert.title, description: alert.message },
    startsAt: new Date(alert.startedAt).toISOString(),
    endsAt: new Date(endsAt).toISOString(),
    ...(page === '' ? {} : { generatorURL: `${page}${alert.link}` }),
  };
}

function labelName(name: string): string {
  return name.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_');
}
