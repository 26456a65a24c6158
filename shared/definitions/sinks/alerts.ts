/**
 * To the control plane, as alerts: a lane of its own, so that no backlog of results delays one.
 */
import { defineSink } from '../sink-definition.ts';
import type { ConfigOf } from '../source-definition.ts';

export const alertsSink = defineSink({
  kind: 'alerts',
  summary: 'Alerts at the control plane.',
  guarantees: [
    'As results: stored exactly once, in order.',
    'Alerts go before results on a slow link, and are committed at once.',
  ],
  fields: {},
  examples: [{ title: 'What an alert step raises', yaml: '- { from: alert, alerts: {} }' }],
});

export type AlertsSinkConfig = ConfigOf<typeof alertsSink>;
