/** Documents that pass, what becomes of them, and every mistake with its place. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  parseJob,
  parseJobDocument,
  parseJobs,
  streamJobOf,
} from '@runnel/shared/definitions/parse-job.ts';
import { DefinitionError, type DefinitionIssue } from '@runnel/shared/errors.ts';

const HEAD = 'apiVersion: runnel/v1\nkind: StreamJob\nmetadata: { name: x }\n';
const SOURCE = 'sources: { a: { host: {} } }\n';
const STEP = 'steps: [{ filter: "true" }]\n';

function issuesOf(text: string): readonly DefinitionIssue[] {
  try {
    parseJob(text, { file: 'job.yaml' });
  } catch (error) {
    if (error instanceof DefinitionError) return error.issues;
    throw error;
  }
  return [];
}

/** The one issue of a document that has one. */
function issueOf(text: string): DefinitionIssue {
  const issues = issuesOf(text);
  expect(issues, JSON.stringify(issues)).toHaveLength(1);
  return issues[0]!;
}

describe('a job that passes', () => {
  const text = `${HEAD}parameters:
  limit: { type: number, default: 0.8 }
  hold: { type: duration, default: 30s }
placement: { selector: "site in (lyon, turin), role=press" }
rollout: { batches: [1, 10%, 100%], pauseBetween: 10m, gate: { minHealthy: 90% } }
sla:
  - { name: fresh, freshness: 2m }
  - { name: delivered, successRate: 99.5%, over: 1h }
sources:
  readings: { mqtt: { topic: "press/+/vibration" }, time: "payload.ts", maxOutOfOrderness: 5s }
  device: { host: }
steps:
  - filter: "payload.status == 'ok'"
  - { id: hot, filter: "payload.t > params.limit", from: [filter, device] }
  - { id: rest, from: late, filter: "true" }
sinks:
  - { from: hot, results: { dataset: hot } }
  - { from: late, file: { path: late.jsonl } }
  - alerts:
onLag: block
`;
  const parsed = parseJob(text);
  const { document } = parsed;
  const job = streamJobOf(parsed.job);

  test('has its durations in milliseconds, its shares as fractions, and its defaults', () => {
    expect(job.sources.readings).toMatchObject({
      kind: 'mqtt',
      config: { topic: 'press/+/vibration', qos: 1, protocol: 'auto' },
      time: 'payload.ts',
      maxOutOfOrderness: 5000,
      maxAhead: 3_600_000,
      idleTimeout: null,
      identity: null,
      codec: 'json',
    });
    expect(job.sources.device).toMatchObject({ kind: 'host', config: { every: 10_000 } });
    expect(job.rollout).toEqual({
      batches: [{ agents: 1 }, { share: 0.1 }, { share: 1 }],
      pauseBetween: 600_000,
      deviceTimeout: 600_000,
      approval: 'auto',
      gate: { minHealthy: 0.9 },
      onFailure: 'rollback',
    });
    const budget = { atRisk: 0.8, objective: 0.99, windowMs: 30 * 86_400_000 };
    expect(job.sla).toEqual([
      { name: 'fresh', kind: 'freshness', withinMs: 120_000, ...budget },
      { name: 'delivered', kind: 'successRate', share: 0.995, overMs: 3_600_000, ...budget },
    ]);
    expect(job.onLag).toBe('block');
    expect(job.onIncompatibleState).toBe('fail');
  });

  test('has its steps and sinks resolved', () => {
    expect(job.steps.map(({ id, from }) => [id, from])).toEqual([
      ['filter', ['readings', 'device']],
      ['hot', ['filter', 'device']],
      ['rest', ['late']],
    ]);
    expect(job.sinks.map(({ from, kind }) => [from, kind])).toEqual([
      ['hot', 'results'],
      ['late', 'file'],
      ['rest', 'alerts'],
    ]);
  });

  test('keeps the document as it was written, and knows its lines', () => {
    expect(document).toMatchObject({ parameters: { hold: { type: 'duration', default: '30s' } } });
    expect(parsed.locate(['steps', 1, 'filter'])).toEqual({ line: 17, column: 16 });
    expect(parseJobDocument(document)).toEqual(job);
  });

  test('shares a connector with every job that writes the same one', () => {
    const other = (source: string) =>
      parseJob(`${HEAD}sources: { b: ${source} }\n${STEP}`).job.sources.b!.connectorFingerprint;
    const own = job.sources.readings!.connectorFingerprint;
    expect(other('{ mqtt: { qos: 1, topic: press/+/vibration }, time: "payload.at" }')).toBe(own);
    expect(other('{ mqtt: { topic: press/+/vibration, qos: 0 } }')).not.toBe(own);
    expect(other('{ file: { path: press } }')).not.toBe(own);
  });

  test('may be JSON', () => {
    expect(parseJob(JSON.stringify(document, undefined, '\t')).job).toEqual(job);
  });
});

test('every example passes', () => {
  const folder = join(import.meta.dirname, '../../../deploy/examples');
  const files = readdirSync(folder).filter((file) => /(?<!\.test)\.yaml$/.test(file));
  expect(files.length).toBeGreaterThanOrEqual(4);
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    expect(`${parseJob(text, { file }).job.name}.yaml`).toBe(file);
  }
});

test('all mistakes are found at once, in the order of the document', () => {
  const issues = issuesOf(`apiVersion: runnel/v1
kind: StreamJob
metadata: { name: Bad Name }
sources:
  a: { mqtt: { topik: x }, maxAhed: 1h }
  b: { host: { every: 10 } }
steps:
  - filtre: "true"
  - filter: 5
sinks:
  - { from: filtr, results: { dataset: d } }
onLagg: skip
`);
  expect(issues.map(({ line, path, hint }) => [line, path, hint])).toEqual([
    [3, 'metadata.name', expect.stringContaining('small letters')],
    [5, 'sources.a.mqtt.topic', undefined],
    [5, 'sources.a.mqtt.topik', 'did you mean "topic"?'],
    [5, 'sources.a.maxAhed', 'did you mean "maxAhead"?'],
    [6, 'sources.b.host.every', expect.stringContaining('10s')],
    [8, 'steps[0].filtre', 'did you mean "filter"?'],
    [9, 'steps[1].filter', undefined],
    [12, 'onLagg', 'did you mean "onLag"?'],
  ]);
  expect(issues.every((issue) => issue.file === 'job.yaml')).toBe(true);
});

test('a job without steps is told so once, not at each sink too', () => {
  const text = `${HEAD}${SOURCE}${STEP.replace('steps', 'stepz')}sinks: [{ alerts: {} }]\n`;
  expect(issuesOf(text).map(({ path }) => path)).toEqual(['steps', 'stepz']);
});

describe('a source', () => {
  const source = (body: string) => issueOf(`${HEAD}sources: { a: ${body} }\n${STEP}`);

  test.each([
    ['{ mqtt: { topic: "a/#/b" } }', 'sources.a.mqtt.topic', '"#" stands alone'],
    ['{ mqtt: { topic: "a/b+" } }', 'sources.a.mqtt.topic', '"+" stands alone'],
    ['{ mqtt: { topic: "" } }', 'sources.a.mqtt.topic', 'empty'],
    ['{ mqtt: { topic: t, qos: 2 } }', 'sources.a.mqtt.qos', '2 is not needed'],
    ['{ mqtt: { topic: t, url: "http://x" } }', 'sources.a.mqtt.url', 'not supported'],
    ['{ mqtt: { topic: t, url: "mqtt://u:p@x" } }', 'sources.a.mqtt.url', 'credentials'],
    ['{ mqtt: { topic: t, url: "mqtt://x", cert: c } }', 'sources.a.mqtt.cert', 'come together'],
    ['{ mqtt: { topic: t, url: "mqtt://x", ca: c } }', 'sources.a.mqtt.ca', 'mqtts'],
    ['{ mqtt: { topic: t, username: u } }', 'sources.a.mqtt.username', 'needs a url'],
    ['{ mqtt: { topic: t }, host: {} }', 'sources.a', 'mqtt and host'],
    ['{ codec: json }', 'sources.a', 'has no kind'],
    ['{ host: {}, codec: xml }', 'sources.a.codec', 'one of json, text, bytes'],
    ['{ host: {}, time: "payloda.ts" }', 'sources.a.time', 'unknown name'],
    ['{ host: {}, identity: "payload.id +" }', 'sources.a.identity', 'ends too early'],
    ['{ host: {}, maxAhead: -1s }', 'sources.a.maxAhead', 'longer than nothing'],
    ['{ host: {}, idleTimeout: 5 }', 'sources.a.idleTimeout', 'has no unit'],
    ['{ host: {}, maxAhead: 900d }', 'sources.a.maxAhead', 'longer than a year'],
    ['{ http: {} }', 'sources.a.http', 'unknown key'],
  ])('%s is refused', (body, path, message) => {
    const issue = source(body);
    expect(issue.path).toBe(path);
    expect(issue.message).toContain(message);
    expect(issue.line).toBe(4);
  });

  test('a secret in a document is refused with the way out, and never repeated', () => {
    const issue = source('{ mqtt: { topic: t, url: "mqtt://x", username: u, password: hunter2 } }');
    expect(issue.path).toBe('sources.a.mqtt.password');
    expect(issue.hint).toContain('{ env: NAME }');
    expect(JSON.stringify(issue)).not.toContain('hunter2');
  });

  test('a password by reference passes', () => {
    const { job } = parseJob(
      `${HEAD}sources:
  a:
    mqtt: { topic: t, url: "mqtt://x", username: u, password: { env: PW } }
${STEP}`,
    );
    expect(job.sources.a).toMatchObject({ config: { password: { env: 'PW' } } });
  });
});

describe('steps and sinks', () => {
  const steps = (body: string) => issueOf(`${HEAD}${SOURCE}steps:\n${body}\n`);
  const sink = (body: string) => issueOf(`${HEAD}${SOURCE}${STEP}sinks:\n  - ${body}\n`);

  test.each([
    ['  - { filter: "true" }\n  - { filter: "true" }', 'steps[1]', 'a second step named "filter"'],
    ['  - { id: a, filter: "true" }', 'steps[0].id', 'the name of a source'],
    ['  - { id: late, filter: "true" }', 'steps[0].id', 'late records'],
    ['  - { from: later, filter: "true" }', 'steps[0].from', 'named "later"'],
    ['  - { from: late, filter: "true" }', 'steps[0].from', 'named "late"'],
    ['  - { filter: "true", map: { drop: [a] } }', 'steps[0]', 'holds filter and map'],
    ['  - { id: x }', 'steps[0]', 'has no operator'],
    ['  []', 'steps', 'is empty'],
  ])('%s is refused', (body, path, message) => {
    const issue = steps(body);
    expect(issue.path).toBe(path);
    expect(issue.message).toContain(message);
  });

  test.each([
    ['{ from: filtre, alerts: {} }', 'sinks[0].from', 'no step is named'],
    ['{ mqtt: { topic: "a/{{kee}}" } }', 'sinks[0].mqtt.topic', 'names no value'],
    ['{ mqtt: { topic: "a/{{key" } }', 'sinks[0].mqtt.topic', '{{ without }}'],
    ['{ mqtt: { topic: "a/#" } }', 'sinks[0].mqtt.topic', 'wildcards'],
    ['{ mqtt: { topic: "$SYS/x" } }', 'sinks[0].mqtt.topic', "broker's own"],
    ['{ results: { dataset: "A b" } }', 'sinks[0].results.dataset', 'is no name'],
    ['{ results: {} }', 'sinks[0].results.dataset', 'is missing'],
    ['{ reslts: {} }', 'sinks[0].reslts', 'unknown key'],
    ['{ alerts: {} }\n  - { alerts: {} }', 'sinks[1]', 'twice'],
    [
      '{ file: { path: o/a } }\n  - { from: late, file: { path: o/./a } }',
      'sinks[1].file.path',
      'ther',
    ],
  ])('%s is refused', (body, path, message) => {
    const issue = sink(body);
    expect(issue.path).toBe(path);
    expect(issue.message).toContain(message);
  });
});

describe('the rest of a job', () => {
  test.each([
    ['parameters: { p: { type: number, default: high } }', 'parameters.p.default', 'is no number'],
    [
      'parameters: { p: { type: number, default: 5, max: 3 } }',
      'parameters.p.default',
      'more than',
    ],
    ['parameters: { p: { type: nmber } }', 'parameters.p.type', 'must be one of'],
    ['parameters: { a-b: { type: number } }', 'parameters.a-b', 'no name'],
    ['placement: { selector: "site in (lyon" }', 'placement.selector', 'not closed'],
    ['placement: { selector: "a=b,,c" }', 'placement.selector', 'empty term'],
    ['rollout: { batches: [lots] }', 'rollout.batches[0]', 'percentage'],
    ['rollout: { batches: [101%] }', 'rollout.batches[0]', 'percentage'],
    ['rollout: { batches: [{ selector: "a=b,,c" }] }', 'rollout.batches[0].selector', 'empty term'],
    ['rollout: { batches: [1], maxUnavailable: none }', 'rollout.maxUnavailable', 'percentage'],
    ['rollout: { batches: [1], gate: { sla: 1 } }', 'rollout.gate.sla', 'SLAs'],
    ['rollout: { batches: [1], gate: { sla: all } }', 'rollout.gate.sla', 'the job has none'],
    [
      'rollout: { batches: [1], gate: { sla: [frsh] } }\nsla: [{ name: fresh, freshness: 1m }]',
      'rollout.gate.sla[0]',
      'did you mean "fresh"?',
    ],
    ['sla: [{ name: a }]', 'sla[0]', 'promises nothing'],
    ['sla: [{ name: a, freshness: 1m, deliveryLag: 1m }]', 'sla[0]', 'at once'],
    ['sla: [{ name: a, deadline: { at: "6:00" } }]', 'sla[0].deadline.at', 'no time of day'],
    ['onLag: wait', 'onLag', 'must be one of'],
  ])('%s is refused', (body, path, message) => {
    const issue = issueOf(`${HEAD}${SOURCE}${STEP}${body}\n`);
    expect(issue.path).toBe(path);
    expect(`${issue.message} ${issue.hint}`).toContain(message);
    expect(issue.line).toBe(6);
  });

  test.each([
    ['kind: BatchJbo\n', 'did you mean "BatchJob"?'],
    ['kind: Deployment\n', 'StreamJob, BatchJob'],
    ['', 'StreamJob or BatchJob'],
  ])('a kind that is none (%j) is told the kinds', (kind, message) => {
    const issue = issueOf(`apiVersion: runnel/v1\n${kind}metadata: { name: x }\n`);
    expect(issue.path).toBe('kind');
    expect(`${issue.message} ${issue.hint}`).toContain(message);
  });

  test('a document of a newer release is refused, never misread', () => {
    expect(issueOf('apiVersion: runnel/v2\nkind: StreamJob\n').hint).toContain('runnel/v1');
  });
});

describe('text', () => {
  test.each([
    ['', 'is empty'],
    ['# only a comment\n', 'is empty'],
    ['- 1\n', 'must be a map'],
    ['a: 1\na: 2\n', 'unique'],
    [`${HEAD}x: .nan\n`, 'NaN'],
    [`${HEAD}x: !secret y\n`, '!secret'],
    ['a: [1\n', ']'],
    ['a: *nowhere\n', 'nowhere'],
    [`a: ${'['.repeat(20_000)}`, 'nested too deeply'],
    [`a: ${'['.repeat(100)}${']'.repeat(100)}`, 'nested too deeply'],
    [`a: "${'x'.repeat(300_000)}"`, 'larger than 256 KiB'],
    [`${HEAD}---\n${HEAD}`, 'holds 2 documents'],
  ])('%# is refused with one line and its cause', (text, message) => {
    const [issue] = issuesOf(text);
    expect(issue?.message).toContain(message);
  });

  test('aliases that would expand without bound are refused', () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? 'l0: &l0 [x, x, x, x, x, x, x, x, x, x]'
        : `l${level}: &l${level} [${Array(10)
            .fill(`*l${level - 1}`)
            .join(', ')}]`,
    );
    expect(issuesOf(levels.join('\n'))[0]?.message).toContain('alias');
  });

  test('several documents of one file keep their own text and the lines of the file', () => {
    const second = `${HEAD.replace('name: x', 'name: y')}${SOURCE}steps: [{ filtre: "x" }]\n`;
    const file = `${HEAD}${SOURCE}${STEP}---\n# the other\n${second}`;
    expect(() => parseJobs(file)).toThrow(DefinitionError);
    try {
      parseJobs(file);
    } catch (error) {
      expect((error as DefinitionError).issues[0]).toMatchObject({ line: 12 });
    }
    const [first, other] = parseJobs(file.replace('filtre', 'filter'));
    expect(first?.job.name).toBe('x');
    expect(other?.job.name).toBe('y');
    expect(parseJob(other!.text).job).toEqual(other!.job);
    const own = parseJob(other!.text).locate(['steps'])!.line;
    expect(own + other!.firstLine - 1).toBe(12);
  });
});
