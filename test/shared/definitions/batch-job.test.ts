/** Batch jobs that pass, what becomes of them, and every mistake with its place. */
import { describe, expect, test } from 'vitest';
import type { BatchJob } from '@runnel/shared/definitions/batch-job.ts';
import { batchFacts } from '@runnel/shared/definitions/check-tasks.ts';
import { compileBatchJob } from '@runnel/shared/definitions/compile-batch-job.ts';
import { parseJob, parseJobDocument } from '@runnel/shared/definitions/parse-job.ts';
import { sampleScope } from '@runnel/shared/definitions/sample-scope.ts';
import type { DefinitionIssue } from '@runnel/shared/errors.ts';
import { datasetsOf } from '@runnel/control-plane/definitions/datasets-of.ts';
import { checkDefinition } from '@runnel/control-plane/definitions/check-definition.ts';
import { batchJob, HEAD, issuesOf, TASK } from './batch-documents.ts';

/** The one issue of a document that has one. */
function issueOf(text: string): DefinitionIssue {
  const issues = issuesOf(text);
  expect(issues, JSON.stringify(issues)).toHaveLength(1);
  return issues[0]!;
}

describe('a batch job that passes', () => {
  const text = `${HEAD}parameters: { minRms: { type: number, default: 0 } }
schedule: { cron: "15 0 * * *", timezone: Europe/Paris, onStartup: { delay: 1m }, jitter: 5m }
partition: { every: 1d }
tasks:
  - id: daily
    sql:
      query: >
        SELECT machine, avg(rms) AS rms FROM journal('readings')
        WHERE _time >= {{ partition.start }} AND _time < {{ partition.end }} GROUP BY machine
      output: { parquet: "rollup/{{ partition.date }}.parquet" }
    retry: { attempts: 4, backoff: { initial: 10s, factor: 2, max: 5m }, on: { data: never } }
    timeout: 10m
  - id: check
    needs: daily
    quality:
      input: daily
      checks:
        - { notNull: machine }
        - { range: { column: rms, min: "{{ params.minRms }}" }, severity: block }
  - id: share
    needs: [check]
    publish: { from: daily, dataset: daily-rms }
  - id: complain
    needs: [check]
    trigger: one_failed
    http:
      method: POST
      url: "http://127.0.0.1:9000/hook"
      body: { job: "{{ job.name }}", day: "{{ partition.date }}" }
sla:
  - { name: by-six, deadline: { at: "06:00", timezone: Europe/Paris } }
`;

  test('has its triggers, its partition in the zone of the schedule, and its defaults', () => {
    const job = batchJob(text);
    expect(job.schedule).toEqual({
      triggers: [
        { kind: 'cron', cron: '15 0 * * *', timezone: 'Europe/Paris' },
        { kind: 'startup', delayMs: 60_000 },
      ],
      misfire: 'runOnce',
      catchUpWindowMs: 7 * 86_400_000,
      overlap: 'skip',
      jitterMs: 300_000,
    });
    expect(job.partition).toEqual({ kind: 'period', every: '1d', timezone: 'Europe/Paris' });
    expect(job).toMatchObject({ priority: 0, maxActiveRuns: 1, maxActiveTasks: null, quota: null });
    expect(job).toMatchObject({ timeoutMs: null, allowPartial: false, sources: {} });
  });

  test('needs the journal for its partition and an hour, a day of 25 hours included', () => {
    expect(batchJob(text).historyMs).toBe(26 * 3_600_000);
    expect(batchJob(text.replace('every: 1d', 'every: 2h')).historyMs).toBe(3 * 3_600_000);
    expect(batchJob(text.replace('tasks:', 'history: 3h\ntasks:')).historyMs).toBe(3 * 3_600_000);
    expect(batchJob(`${HEAD}${TASK}`).historyMs).toBeNull();
  });

  test('has its tasks with their policies', () => {
    const [daily, check, , complain] = batchJob(text).tasks;
    expect(daily).toMatchObject({
      needs: [],
      trigger: 'all_success',
      kind: 'sql',
      timeoutMs: 600_000,
      retry: {
        attempts: 4,
        backoff: { initialMs: 10_000, factor: 2, maxMs: 300_000 },
        on: { data: { attempts: 1 } },
      },
      // A query's process may take 256 MiB: admission counts them.
      cost: { memoryBytes: 256 * 1024 * 1024, cpu: 0.1 },
    });
    expect(check).toMatchObject({ needs: ['daily'], retry: { attempts: 1 } });
    expect(complain?.cost.memoryBytes).toBe(16 * 1024 * 1024);
    expect(complain).toMatchObject({ trigger: 'one_failed', kind: 'http' });
  });

  test('tells what it reads and makes, and what a device must be able to do', () => {
    const job = batchJob(text);
    expect(batchFacts(job)).toMatchObject({
      journals: ['readings'],
      datasets: ['daily-rms'],
      requires: ['batch', 'sql', 'task:http', 'task:publish', 'task:quality', 'task:sql'],
    });
    expect(datasetsOf(job.document)).toEqual(['daily-rms']);
    expect(datasetsOf({ kind: 'BatchJob' })).toEqual([]);
  });

  test('is checked at the control plane like any job', () => {
    expect(checkDefinition(text)).toMatchObject({ name: 'x', kind: 'BatchJob' });
    expect(parseJobDocument(batchJob(text).document)).toEqual(batchJob(text));
  });

  test('may have all triggers at once', () => {
    const job = batchJob(
      `${HEAD}${TASK}schedule:\n  cron: ["0 6 * * *", "@daily"]\n  every: 1mo\n` +
        '  at: ["2026-03-29T02:30", "2026-01-01T00:00:00Z"]\n  timezone: Europe/Paris\n' +
        '  datasets: [a, b]\n  onStartup: true\n  diskAbove: 80%\n',
    );
    expect(job.schedule?.triggers).toEqual([
      { kind: 'cron', cron: '0 6 * * *', timezone: 'Europe/Paris' },
      { kind: 'cron', cron: '@daily', timezone: 'Europe/Paris' },
      { kind: 'every', every: '1mo', timezone: 'Europe/Paris' },
      // A time that the clock skips is the first instant after the gap.
      { kind: 'at', at: [Date.UTC(2026, 0, 1), Date.UTC(2026, 2, 29, 1)] },
      { kind: 'dataset', datasets: ['a', 'b'] },
      { kind: 'startup', delayMs: 0 },
      { kind: 'disk', above: 0.8 },
    ]);
  });

  test('with keys has runs beside each other', () => {
    const job = batchJob(`${HEAD}${TASK}partition: { keys: [l1, l2] }\n`);
    expect(job.partition).toEqual({
      kind: 'keys',
      keys: ['l1', 'l2'],
      every: null,
      timezone: 'UTC',
    });
    expect(job.maxActiveRuns).toBe(16);
  });

  test('may be a thousand tasks in a chain', () => {
    const tasks = Array.from({ length: 1000 }, (_, n) => ({
      id: `t${n}`,
      ...(n === 0 ? {} : { needs: [`t${n - 1}`] }),
      value: { value: n === 0 ? 0 : `{{ tasks.t${n - 1}.output + tasks.t0.output }}` },
    }));
    const document = {
      apiVersion: 'runnel/v1',
      kind: 'BatchJob',
      metadata: { name: 'chain' },
      tasks,
    };
    expect((parseJobDocument(document) as BatchJob).tasks).toHaveLength(1000);
    const more = { ...document, tasks: [...tasks, { id: 'more' }] };
    expect(() => parseJobDocument(more)).toThrow('more than 1000 tasks');
  });
});

describe('a job-level mistake', () => {
  test.each([
    ['schedule: { cron: "61 * * * *" }', 'schedule.cron', '61'],
    ['schedule: { cron: "* * *" }', 'schedule.cron', 'fields'],
    ['schedule: { cron: "0 0 31 2 *" }', 'schedule.cron', ''],
    ['schedule: { every: 1y }', 'schedule.every', 'is no period'],
    ['schedule: { every: 10ms }', 'schedule.every', 'shorter than a second'],
    ['schedule: { at: tomorrow }', 'schedule.at', 'is no instant'],
    ['schedule: { at: [2026-02-30] }', 'schedule.at[0]', 'is no instant'],
    ['schedule: {}', 'schedule', 'starts nothing'],
    ['schedule: { crn: "* * * * *" }', 'schedule.crn', 'did you mean "cron"?'],
    ['schedule: { every: 1d, timezone: Paris }', 'schedule.timezone', 'is no time zone'],
    ['schedule: { every: 1d, overlap: skp }', 'schedule.overlap', 'did you mean "skip"?'],
    ['schedule: { every: 1d, misfire: all }', 'schedule.misfire', 'runOnce'],
    ['schedule: { dataset: a, datasets: [b] }', 'schedule.datasets', 'beside dataset'],
    ['schedule: { diskAbove: 0.8 }', 'schedule.diskAbove', 'a text'],
    ['partition: {}', 'partition', 'says nothing'],
    ['partition: { keys: [a, a] }', 'partition.keys[1]', 'is there twice'],
    ['partition: { keys: ["a/b"] }', 'partition.keys[0]', 'is no key'],
    ['quota: { per: 1d }', 'quota', 'bounds nothing'],
    ['maxActiveRuns: 0', 'maxActiveRuns', ''],
    ['steps: []', 'steps', 'unknown key'],
    ['priority: high', 'priority', 'a number'],
    ['sources: { a: { hots: {} } }', 'sources.a.hots', 'did you mean "host"?'],
    ['sources: { a: { host: {}, time: "payloda" } }', 'sources.a.time', 'payload'],
  ])('%s is refused', (body, path, message) => {
    const issue = issueOf(`${HEAD}${TASK}${body}\n`);
    expect(issue.path).toBe(path);
    expect(`${issue.message} ${issue.hint}`).toContain(message);
    expect(issue.line).toBe(5);
  });
});

describe('a mistake in the tasks', () => {
  const value = 'value: { value: 1 }';
  test.each([
    // Names and the graph.
    ['- { id: A b }', 'tasks[0].id', 'is no name'],
    ['- {}', 'tasks[0].id', 'is missing'],
    ['- { id: a }\n- { id: a }', 'tasks[1].id', 'a second task named "a"'],
    ['- { id: abc }\n- { id: b, needs: abd }', 'tasks[1].needs[0]', 'did you mean "abc"?'],
    ['- { id: a }\n- { id: b, needs: [a, a] }', 'tasks[1].needs[1]', 'twice'],
    ['- { id: a, needs: [a] }', 'tasks[0].needs', '"a" needs itself'],
    [
      '- { id: a, needs: [c] }\n- { id: b, needs: [a] }\n- { id: c, needs: [b] }',
      'tasks[0].needs',
      'a → c → b → a',
    ],
    ['[]', 'tasks', 'is empty'],
    // Kinds.
    [`- { id: a, ${value}, http: {} }`, 'tasks[0]', 'holds value and http'],
    ['- { id: a, valeu: { value: 1 } }', 'tasks[0].valeu', 'did you mean "value"?'],
    ['- { id: a, value: { value: 1, vlue: 1 } }', 'tasks[0].value.vlue', 'did you mean "value"?'],
    // What all tasks have.
    ['- { id: a, trigger: all_sucess }', 'tasks[0].trigger', 'did you mean "all_success"?'],
    ['- { id: a, retry: { attempts: 0 } }', 'tasks[0].retry.attempts', '1'],
    ['- { id: a, retry: { on: { netwrk: 3 } } }', 'tasks[0].retry.on.netwrk', 'network'],
    ['- { id: a, retry: { on: { network: no } } }', 'tasks[0].retry.on.network', 'never'],
    ['- { id: a, timeout: 10 }', 'tasks[0].timeout', 'has no unit'],
    ['- { id: a, cost: { memory: lots } }', 'tasks[0].cost.memory', 'is no size'],
    [
      '- { id: a, circuitBreaker: { window: 3, callsMin: 4 } }',
      'tasks[0].circuitBreaker.callsMin',
      'never open',
    ],
    ['- { id: a, parallel: 2 }', 'tasks[0].parallel', 'without forEach'],
    ['- { id: a, outputSchema: { type: objct } }', 'tasks[0].outputSchema.type', 'is no type'],
    // Teardown and branches.
    ['- { id: a }\n- { id: b, teardown: [a] }', 'tasks[1].teardown[0]', 'needs: [a]'],
    [
      '- { id: a }\n- { id: b, needs: a, teardown: a, forEach: [1] }',
      'tasks[1].forEach',
      'cannot go through a list',
    ],
    [`- { id: a, branch: "'b'" }`, 'tasks[0].branch', 'chooses among no tasks'],
    [
      `- { id: a, branch: "1 > 2 ? ['bg'] : 'big'" }\n- { id: big, needs: a }`,
      'tasks[0].branch',
      'did you mean "big"?',
    ],
    // Expressions.
    ['- { id: a, when: "1 + 1" }', 'tasks[0].when', 'a bool is needed'],
    ['- { id: a, when: "params.on" }', 'tasks[0].when', 'unknown parameter "on"'],
    ['- { id: a, when: "{{ 1 > 2 }}" }', 'tasks[0].when', 'leave {{ }} out'],
    ['- { id: a, forEach: "1 + 1" }', 'tasks[0].forEach', 'a list is needed'],
    ['- { id: a, when: "item > 2", forEach: [1] }', 'tasks[0].when', 'forEach'],
    ['- { id: a }\n- { id: b, when: "tasks.a.output" }', 'tasks[1].when', 'needs: [a]'],
    ['- { id: a, when: "tasks.b.output" }', 'tasks[0].when', 'no task is named "b"'],
    ['- { id: a, when: "size(tasks) > 1" }', 'tasks[0].when', 'tasks.daily.output'],
    [
      '- { id: my-task }\n- { id: b, needs: my-task, when: "tasks.my-task.output" }',
      'tasks[1].when',
      'write tasks["my-task"]',
    ],
    ['- { id: a }\n- { id: b, needs: a, when: "tasks.a.rows" }', 'tasks[1].when', 'a task has no'],
    ['- { id: a, when: "partition.day == 1" }', 'tasks[0].when', 'partition has no "day"'],
    ['- { id: a, when: "windowEnd > 1" }', 'tasks[0].when', 'unknown name "windowEnd"'],
    ['- { id: a, when: "time > 1" }', 'tasks[0].when', 'unknown name "time"'],
    // Templates.
    ['- { id: a, value: { value: "{{ prams.x }}" } }', 'tasks[0].value.value', '"params"?'],
    ['- { id: a, value: { value: "{{ 1" } }', 'tasks[0].value.value', 'without }}'],
    ['- { id: a, value: { value: { "{{ 1 }}": 2 } } }', 'tasks[0].value.value["{{ 1 }}"]', 'key'],
    ['- { id: a, value: { value: "x{{ [1] }}" } }', 'tasks[0].value.value', 'is a list'],
    ['- { id: a, value: { value: "x{{ partition.key }}" } }', 'tasks[0].value.value', 'is null'],
    ['- { id: a, value: { value: "{{ item }}" } }', 'tasks[0].value.value', 'forEach'],
  ])('%s is refused', (tasks, path, message) => {
    const issue = issueOf(`${HEAD}tasks:\n${tasks.replaceAll(/^/gm, '  ')}\n`);
    expect(issue.path).toBe(path);
    expect(`${issue.message} ${issue.hint}`).toContain(message);
    const element = Number(/^tasks\[(\d+)\]/.exec(path)?.[1] ?? -1);
    expect(issue.line).toBe(element < 0 ? 4 : 5 + element);
  });

  test('all are found at once, in the order of the document', () => {
    const issues = issuesOf(
      `${HEAD}schedule: { cron: "x" }\ntasks:\n  - { id: a, needs: [b] }\n` +
        '  - { id: b, needs: [a], when: "1", value: { value: "{{ x }}" } }\n' +
        '  - { id: c, needs: [d] }\n',
    );
    expect(issues.map(({ path, line }) => [path, line])).toEqual([
      ['schedule.cron', 4],
      ['tasks[0].needs', 6],
      ['tasks[1].when', 7],
      ['tasks[1].value.value', 7],
      ['tasks[2].needs[0]', 8],
    ]);
  });

  test('a task that does not pass is not said to be missing too', () => {
    const tasks = `  - { id: a, sqll: {} }\n  - { id: b, needs: [a], branch: "'c'" }\n`;
    const text = `${HEAD}tasks:\n${tasks}`;
    expect(issueOf(text).path).toBe('tasks[0].sqll');
  });
});

describe('the settings of a task', () => {
  const http = (fields: string, more = ''): string =>
    `${HEAD}parameters: { n: { type: number }, ms: { type: duration, default: 3s } }\ntasks:\n` +
    `  - { id: a, value: { value: [1] } }\n` +
    `  - { id: b, needs: a${more}, http: { ${fields} } }\n`;

  test('are checked with the values that are known at submit', () => {
    expect(issuesOf(http('method: GET, url: "http://h/{{ params.n }}"'))).toEqual([]);
    const issue = issueOf(http('method: "{{ 1 > 2 }}", url: "http://h/"'));
    expect(issue.path).toBe('tasks[1].http.method');
    expect(issueOf(http('method: GET, url: "{{ params.n }}"')).path).toBe('tasks[1].http.url');
  });

  test('that hold parameters without a value are judged when there is one', () => {
    const purge = (olderThan: string): string =>
      `${HEAD}parameters: { url: { type: string }, n: { type: number }, t: { type: duration } }\n` +
      `tasks:\n  - { id: b, http: { method: GET, url: "{{ params.url }}/x" } }\n` +
      `  - { id: p, purge: { files: "{{ params.url }}/*", keep: "{{ params.n * 50 }}", ` +
      `olderThan: "${olderThan}" } }\n`;
    expect(issuesOf(purge('{{ params.t }}ms'))).toEqual([]);
    expect(issuesOf(purge('{{ params.url }}'))).toEqual([]);
    // Whatever the value will be, it has no unit.
    expect(issueOf(purge('{{ params.t }}'))).toMatchObject({
      path: 'tasks[1].purge.olderThan',
      hint: expect.stringContaining('{{ … }}ms') as string,
    });
    const { job } = parseJob(purge('{{ params.t }}ms'));
    if (job.kind !== 'BatchJob') throw new Error('no batch job');
    const later = { url: 'ftp://h', n: 1, t: 1000 };
    const [task] = compileBatchJob(job, later).tasks;
    expect(() => task?.config(sampleScope('x', null))).toThrow('tasks[0].http.url');
  });

  test('alone hold templates: elsewhere the error says so', () => {
    const field = (fields: string): string =>
      `${HEAD}tasks:\n  - { id: a, value: { value: 1 }, ${fields} }\n`;
    for (const fields of ['timeout: "{{ params.t }}"', 'cost: { memory: "{{ params.m }}" }']) {
      expect(issueOf(field(fields))).toMatchObject({
        message: 'takes no template: it is the same for every run',
        hint: expect.stringContaining('settings of a kind') as string,
      });
    }
    const job = `${HEAD}timeout: "{{ params.t }}"\ntasks: [{ id: a, value: { value: 1 } }]\n`;
    expect(issueOf(job)).toMatchObject({ path: 'timeout', line: expect.any(Number) as number });
  });

  test('take ages of years, and units that there are are named', () => {
    const purge = (olderThan: string): string =>
      `${HEAD}tasks:\n  - { id: a, purge: { dataset: d, olderThan: ${olderThan} } }\n`;
    for (const text of ['1y', '10y', '1w', '18h']) expect(issuesOf(purge(text))).toEqual([]);
    expect(issueOf(purge('3mo'))).toMatchObject({
      message: '"3mo" is no duration',
      hint: expect.stringContaining('(ms, s, m or min, h, d, w, y of 365 days)') as string,
    });
    expect(issueOf(purge('101y')).message).toContain('longer than a hundred years');
  });

  test('may hold what only a run knows, wherever its type fits', () => {
    const fields =
      'method: "{{ tasks.a.output[0] }}", url: "{{ item }}", expect: "{{ item.codes }}"';
    expect(issuesOf(http(fields, ', forEach: tasks.a.output'))).toEqual([]);
  });

  test('are judged beside what only a run knows', () => {
    const fields = 'url: "{{ tasks.a.output }}", methd: GET';
    expect(issueOf(http(fields)).path).toBe('tasks[1].http.methd');
  });

  test('name only tables of tasks that are done before', () => {
    const text = (needs: string): string =>
      `${HEAD}tasks:\n  - { id: a, value: { value: 1 } }\n` +
      `  - { id: b, ${needs} publish: { from: a, dataset: d } }\n`;
    expect(issuesOf(text('needs: a,'))).toEqual([]);
    const issue = issueOf(text(''));
    expect(issue).toMatchObject({ path: 'tasks[1].publish', hint: 'add it: needs: [a]', line: 6 });
  });
});
