/**
 * A subscription at an MQTT broker, or at the device's embedded one.
 *
 * QoS 2 is refused: with QoS 1, acknowledgement after the commit and the redelivery ring a record
 * already counts exactly once, and QoS 2 would add two messages per record.
 */
import { z } from 'zod';
import { brokerFields, brokerProblem } from '../mqtt-fields.ts';
import { filterProblem } from '../mqtt-topic.ts';
import { type ConfigOf, defineSource } from '../source-definition.ts';
import { withHint } from '../strict.ts';

export const mqttSource = defineSource({
  kind: 'mqtt',
  summary: 'Messages of an MQTT broker (3.1.1 and 5), or of the embedded one.',
  guarantees: [
    'A QoS 1 message is acknowledged only after the commit that holds it is on disk.',
    'A message that the broker sends again is recognised and counts once.',
    'At the embedded broker this holds for publishers with `clean: false`, and for others when ' +
      'they set DUP as they send again. MQTT.js with its default, a clean session, does not: ' +
      'give it `clean: false`, or the source an `identity:`.',
    'When the device cannot keep up it stops reading; the broker keeps the messages.',
  ],
  record: '`payload` is the decoded message, `topic` its topic, `meta` MQTT 5 properties.',
  fields: {
    topic: z
      .string()
      .superRefine((filter, context) => {
        const problem = filterProblem(filter);
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .describe('Topic filter, wildcards + and # included. Example: `press/+/vibration`.'),
    qos: z
      .literal([0, 1], {
        error: (issue) =>
          issue.input === 2
            ? withHint('2 is not needed', '1 already counts each message exactly once')
            : undefined,
      })
      .default(1)
      .describe('1: each message counts exactly once. 0: messages can be lost on the way.'),
    protocol: z
      .enum(['auto', '3.1.1', '5'])
      .default('auto')
      .describe('MQTT version; auto speaks 5, and 3.1.1 where the broker does not.'),
    ...brokerFields,
  },
  problem: brokerProblem,
  examples: [
    {
      title: "Vibration of every press, from the device's own broker",
      yaml: 'readings: { mqtt: { topic: "press/+/vibration", qos: 1 }, time: "payload.ts" }',
    },
    {
      title: 'From a broker of the site, encrypted, password from the environment',
      yaml: [
        'readings:',
        '  mqtt:',
        '    url: mqtts://broker.site.example:8883',
        '    topic: "line/+/state"',
        '    username: runnel',
        '    password: { env: RUNNEL_SECRET_BROKER }',
      ].join('\n'),
    },
  ],
});

export type MqttSourceConfig = ConfigOf<typeof mqttSource>;
