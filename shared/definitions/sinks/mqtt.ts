/**
 * To a broker near the device: lamps, PLCs, panels, other programs.
 */
import { z } from 'zod';
import { brokerFields, brokerProblem } from '../mqtt-fields.ts';
import { topicProblem } from '../mqtt-topic.ts';
import { defineSink } from '../sink-definition.ts';
import type { ConfigOf } from '../source-definition.ts';
import { parsedText } from '../strict.ts';
import { parseTemplate, type Template } from '../template.ts';

/** The parsed template, with the text that it came from. */
export interface TopicTemplate {
  readonly text: string;
  readonly template: Template;
}

const topic = parsedText<TopicTemplate>(
  (text) => {
    const template = parseTemplate(text);
    if ('problem' in template) return template;
    const fixed = template.map((part) => (typeof part === 'string' ? part : '_')).join('');
    const problem = topicProblem(fixed);
    if (problem !== undefined) return { problem, hint: 'for example press/{{key}}/lamp' };
    return { text, template };
  },
  {
    description:
      'Topic; `{{key}}`, `{{value.field}}`, `{{step}}`, `{{job}}`, `{{time}}`, `{{windowStart}}` ' +
      'and `{{windowEnd}}` stand for values. Slashes and wildcards in a value become `_`.',
    examples: ['press/{{key}}/lamp'],
  },
);

export const mqttSink = defineSink({
  kind: 'mqtt',
  summary: 'Messages at an MQTT broker, or at the embedded one.',
  guarantees: [
    'At least once and in order with QoS 1: a crash can send a message again.',
    'The message is the output line as JSON; its `id` stays the same when it is sent again.',
    'A broker that is away is tried again with backoff; rows wait in the outbox.',
  ],
  fields: {
    topic,
    qos: z.literal([0, 1]).default(1).describe('1: acknowledged by the broker. 0: not.'),
    retain: z
      .boolean()
      .default(false)
      .describe('Whether the broker keeps the last message for later subscribers.'),
    ...brokerFields,
  },
  problem: brokerProblem,
  examples: [
    {
      title: 'A lamp per press',
      yaml: '- { from: alert, mqtt: { topic: "press/{{key}}/lamp", qos: 1 } }',
    },
  ],
});

export type MqttSinkConfig = ConfigOf<typeof mqttSink>;
