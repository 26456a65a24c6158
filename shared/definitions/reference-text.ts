/**
 * The reference of job documents as Markdown, printed from the components themselves: what is
 * written there is what the parser, the type check and the operators know.
 */
import { z } from 'zod';
import { aggregates } from '../engine/aggregates/registry.ts';
import { operators } from '../engine/operators/registry.ts';
import { EXPRESSION_REASONS } from '../expressions/expression.ts';
import type { FunctionSpec } from '../expressions/function-spec.ts';
import { functions } from '../expressions/functions.ts';
import { MACROS } from '../expressions/macros.ts';
import { limits } from '../limits.ts';
import { fieldTable, markdownTable } from './field-table.ts';
import { schemaOf } from './job-json-schema.ts';
import { TRIGGER_RULES, type TriggerRule } from './batch-job.ts';
import { batchJobFields } from './batch-fields.ts';
import { type ComponentExample, commonSourceFields } from './source-definition.ts';
import { sinks } from './sinks/registry.ts';
import { sources } from './sources/registry.ts';
import { stepFields } from './step-schemas.ts';
import { streamJobFields } from './stream-job.ts';
import type { Fields } from './strict.ts';
import { taskFields } from './task-fields.ts';
import { tasks } from './tasks/registry.ts';

export function referenceText(): string {
  const parts = [
    '# Job reference',
    'Made from the sources by `npm run docs`; do not edit. Durations are written `250ms`, `10s`, ' +
      '`5m`, `1h30m`, `1d`; sizes `64MiB`; shares `99.5%`. Unknown keys are errors.',
    ...jobSection(),
    ...batchSections(),
    ...sourceSections(),
    ...operatorSections(),
    ...aggregateSection(),
    ...sinkSections(),
    ...taskSections(),
    ...expressionSections(),
  ];
  return `${parts.join('\n\n')}\n`;
}

function table(fields: Fields): string {
  return fieldTable(schemaOf(z.strictObject(fields)));
}

function jobSection(): string[] {
  return [
    '## Stream job',
    table({
      ...streamJobFields,
      sources: z.unknown().describe('Where records come from, each under a name: see Sources.'),
      steps: z.unknown().describe('What is done with them, in order: see Steps.'),
      sinks: z.unknown().optional().describe('Where outputs go: see Sinks.'),
    }),
  ];
}

function batchSections(): string[] {
  return [
    '## Batch job',
    table({
      ...batchJobFields,
      sources: z
        .unknown()
        .optional()
        .describe('Sources that the job has journaled itself, each under a name: see Sources.'),
      tasks: z.unknown().describe('What is done: see Tasks.'),
    }),
  ];
}

function taskSections(): string[] {
  return [
    '## Tasks',
    'Every task of a batch job has at most one kind, and these keys; a task without a kind joins ' +
      'others or chooses among them:',
    table(taskFields),
    '### Trigger rules',
    'What must have become of the tasks that a task needs (each item of a `forEach` counts for ' +
      'itself). A rule that can no longer hold ends the task: as `upstream_failed` where a ' +
      'failure ' +
      'is the cause, else as `skipped`.',
    markdownTable(
      ['rule', 'the task starts when'],
      TRIGGER_RULES.map((rule) => [`\`${rule}\``, RULES[rule]]),
    ),
    '### Templates',
    'Every text in the settings of a task may hold `{{ expression }}`, but for the fields that ' +
      'are ' +
      'expressions themselves. A text that is one `{{ }}` alone gives the value as it is; inside ' +
      'of a longer text numbers, texts, `true` and `false` can stand, null, lists and maps ' +
      'cannot. ' +
      'In SQL `{{ }}` is a bound value, never text, and cannot stand in quotes. `when`, `branch` ' +
      'and `forEach` are expressions without braces. They all know:',
    markdownTable(['name', 'what it is'], SCOPE_NAMES),
    ...tasks.flatMap((spec) => [
      `### Task \`${spec.kind}\``,
      spec.summary,
      bullets(spec.guarantees),
      `Output: ${spec.output}`,
      ...(Object.keys(spec.fields).length === 0 ? [] : [table(spec.fields)]),
      ...((spec.raw ?? []).length === 0
        ? []
        : [`Not rendered: ${(spec.raw ?? []).map((field) => `\`${field}\``).join(', ')}.`]),
      ...yamlExamples(spec.examples),
    ]),
  ];
}

const RULES: Readonly<Record<TriggerRule, string>> = {
  all_success: 'all of them succeeded',
  all_failed: 'all of them failed or could not run for a failure',
  all_done: 'all of them are done, whatever became of them',
  all_done_min_one_success: 'all of them are done and one succeeded',
  all_skipped: 'all of them were skipped',
  one_failed: 'one of them failed; it does not wait for the others',
  one_success: 'one of them succeeded; it does not wait for the others',
  one_done: 'one of them succeeded or failed; it does not wait for the others',
  none_failed: 'all of them are done, and each succeeded or was skipped',
  none_failed_min_one_success: 'the same, and one succeeded',
  none_skipped: 'all of them are done, and none was skipped',
  always: 'the run starts',
};

const SCOPE_NAMES: readonly (readonly [string, string])[] = [
  ['`params`', 'Parameters of the job, and what was given with the run over them.'],
  ['`job`', '`name`, `version`.'],
  ['`run`', '`id`, `key` (job and partition), `at` (the time that it stands for), `trigger`.'],
  [
    '`partition`',
    '`id`, `key`, `start` and `end` (epoch milliseconds), `startAt` and `endAt` (ISO 8601 in ' +
      'UTC), `date` (local, of the start), `timezone`.',
  ],
  ['`agent`', '`id`, `name`, `labels`.'],
  [
    '`tasks`',
    '`tasks.daily.output` and `tasks.daily.state` of a task that is done before this one; ' +
      '`tasks["my-task"]` where the id has a dash. The output of a task with `forEach` is a list.',
  ],
  ['`item`, `index`', 'Of a task with `forEach`, in its settings.'],
];

function sourceSections(): string[] {
  return [
    '## Sources',
    'Beside its kind every source has these keys:',
    table(commonSourceFields),
    ...sources.flatMap((spec) => [
      `### Source \`${spec.kind}\``,
      spec.summary,
      bullets(spec.guarantees),
      `The record: ${spec.record}`,
      table(spec.fields),
      ...yamlExamples(spec.examples),
    ]),
  ];
}

function operatorSections(): string[] {
  return [
    '## Steps',
    'Every step has one operator, and these keys:',
    table(stepFields),
    ...operators.flatMap((operator) => [
      `### Step \`${operator.name}\``,
      operator.summary,
      bullets(operator.guarantees),
      table(operator.shape),
      ...operator.examples.flatMap((example) => [
        `${example.title}:`,
        fenced('yaml', `- ${example.step.replaceAll('\n', '\n  ')}`),
        fenced('json', [...example.input.map(line), '→', ...example.output.map(line)].join('\n')),
      ]),
    ]),
  ];
}

const line = (value: unknown): string => JSON.stringify(value);

function aggregateSection(): string[] {
  return [
    '## Aggregates',
    'In `aggregate:` of a window. Nulls are skipped; an expression may combine several: ' +
      '`sum(payload.failed) / count()`.',
    markdownTable(
      ['call', 'what it gives'],
      aggregates.map((aggregate) => [`\`${aggregate.usage}\``, aggregate.summary]),
    ),
  ];
}

function sinkSections(): string[] {
  return [
    '## Sinks',
    'Beside its kind every sink has `from:`, the step whose output it takes, or `late`. ' +
      'Default: the last step.',
    ...sinks.flatMap((spec) => [
      `### Sink \`${spec.kind}\``,
      spec.summary,
      bullets(spec.guarantees),
      ...(Object.keys(spec.fields).length === 0 ? [] : [table(spec.fields)]),
      ...yamlExamples(spec.examples),
    ]),
  ];
}

function expressionSections(): string[] {
  return [
    '## Expressions',
    'CEL (https://cel.dev), checked when a job is submitted. Numbers are doubles: ' +
      '`1 / 2` is 0.5. Times are epoch milliseconds and durations milliseconds: plain numbers.',
    markdownTable(
      ['name', 'what it is'],
      [
        [
          '`payload`',
          "The record's payload; after an aggregation its columns stand by themselves.",
        ],
        ['`topic`', 'The MQTT topic, or the path of a file; before an aggregation.'],
        ['`meta`', 'Facts of the source; before an aggregation.'],
        ['`time`', 'Event time.'],
        ['`params`', 'Parameters of the job.'],
        ['`key`', 'Key of the window; after an aggregation.'],
        ['`windowStart`, `windowEnd`', 'The window `[start, end)`; after an aggregation.'],
      ],
    ),
    '### Functions',
    markdownTable(
      ['function', 'what it gives', 'example'],
      functions.map((spec) => [signature(spec), spec.summary, `\`${cell(spec.example)}\``]),
    ),
    '### Macros',
    markdownTable(
      ['macro', 'what it gives', 'example'],
      [
        ['`has(a.b)`', 'Whether a map has a field; null counts.', '`has(payload.status)`'],
        ...Object.entries(MACROS).map(([name, macro]) => [
          `\`list.${name}(v, …)\``,
          macro.summary,
          `\`${cell(macro.example)}\``,
        ]),
      ],
    ),
    '### When an expression fails',
    'The record goes to the dead letters, counted by step and reason: ' +
      `${EXPRESSION_REASONS.map((reason) => `\`${reason}\``).join(', ')}. ` +
      '`&&` and `||` absorb the failure of one side when the other decides. ' +
      `Bounds: ${limits.expressionCharsMax} characters, ${limits.expressionNodesMax} parts, ` +
      `${limits.expressionCostMax} steps per evaluation.`,
  ];
}

function signature(spec: FunctionSpec): string {
  const names = spec.arguments.map((type, index) => {
    const optional = index >= spec.arguments.length - (spec.optional ?? 0);
    const mark = optional ? '?' : spec.variadic === true ? '…' : '';
    return `${type === 'dyn' ? 'any' : type}${mark}`;
  });
  const [first = '', ...rest] = names;
  const call = `${spec.name}(${names.join(', ')})`;
  if (spec.form === 'function') return `\`${call}\``;
  return `\`${first}.${spec.name}(${rest.join(', ')})\``;
}

function yamlExamples(examples: readonly ComponentExample[]): string[] {
  return examples.flatMap((example) => [`${example.title}:`, fenced('yaml', example.yaml)]);
}

function bullets(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`);
}
