/**
 * One HTTP request: a hook, a call to a machine's API, a notification.
 */
import { z } from 'zod';
import { httpFields, httpStatus } from '../http-fields.ts';
import { size } from '../size.ts';
import type { ConfigOf } from '../source-definition.ts';
import { defineTask } from '../task-definition.ts';

export const httpTask = defineTask({
  kind: 'http',
  summary: 'Sends one HTTP request and takes its answer.',
  guarantees: [
    'A request that may change something (any method but GET and HEAD) carries an ' +
      '`Idempotency-Key` that is the same for every attempt and rerun of the partition: a ' +
      'receiver that keeps keys sees the effect once. When another body than this one was sent ' +
      'before, the key is a new one.',
    'Answers 408, 425, 429 and 5xx fail with the class `unavailable`, after `Retry-After` where ' +
      'given; other answers that are not expected with `rejected`; connections with `network`.',
    'Redirects are followed only to hosts that policy.yaml allows; `auth` goes to no other host.',
  ],
  output:
    '`{ status, body, bytes }`: `body` is the JSON value or text, null with `response: none`. ' +
    'Where it is a list of maps it is the table of the task too, with `rowCount` and `columns`, ' +
    'and null beyond 32 KiB.',
  fields: {
    method: z
      .enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
      .default('GET')
      .describe('Method.'),
    ...httpFields,
    body: z
      .unknown()
      .optional()
      .describe(
        'A text is sent as it is, anything else as JSON. ' +
          'Example: `{ job: "{{ job.name }}", day: "{{ partition.date }}" }`.',
      ),
    expect: z
      .array(httpStatus)
      .min(1)
      .optional()
      .describe('Statuses that are a success. Default: 200 to 299. Example: `[200, 404]`.'),
    response: z
      .enum(['json', 'text', 'none'])
      .default('json')
      .describe('What the answer is read as; an empty one is null.'),
    bodyMax: size
      .prefault('1MiB')
      .describe('A longer answer fails the attempt (class `resources`). Example: `64KiB`.'),
  },
  problem: ({ method, body, bodyMax }) => {
    if (bodyMax > 16 * 1024 * 1024) return ['bodyMax', 'must be at most 16MiB'];
    const bodiless = method === 'GET' || method === 'HEAD';
    return bodiless && body !== undefined ? ['body', `${method} has none`] : undefined;
  },
  examples: [
    {
      title: 'A hook that is told of a failure',
      yaml: [
        '- id: complain',
        '  needs: [check]',
        '  trigger: one_failed',
        '  http:',
        '    method: POST',
        '    url: "http://127.0.0.1:9000/hook"',
        '    body: { job: "{{ job.name }}", day: "{{ partition.date }}" }',
      ].join('\n'),
    },
    {
      title: 'A list for forEach, from an API with a token',
      yaml: [
        '- id: lines',
        '  http:',
        '    url: "https://mes.site.example/api/lines"',
        '    auth: { bearer: { env: RUNNEL_SECRET_MES } }',
      ].join('\n'),
    },
  ],
});

export type HttpTaskConfig = ConfigOf<typeof httpTask>;
