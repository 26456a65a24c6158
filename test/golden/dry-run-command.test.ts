/** `runnel-agent dry-run` and `runnel-agent test`, as a person runs them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { dryRunCommand } from '@runnel/agent/cli/dry-run.ts';
import { testCommand } from '@runnel/agent/cli/test.ts';
import { fakeStreams } from '../support/engine-streams.ts';
import { tempDir } from '../support/temp-dir.ts';

const CASES = join(dirname(fileURLToPath(import.meta.url)), 'cases');
const plain = { param: [], flush: true };

function write(name: string, text: string): string {
  const file = join(tempDir('dry-run'), name);
  writeFileSync(file, text);
  return file;
}

test('stdout holds the result lines byte for byte, and the summary goes to stderr', async () => {
  const dir = join(CASES, 'bad-records');
  const io = fakeStreams();
  const input = [`in=${join(dir, 'input.jsonl')}`];
  expect(await dryRunCommand({ ...plain, job: join(dir, 'job.yaml'), input }, io)).toBe(0);
  expect(io.out()).toBe(readFileSync(join(dir, 'expected.jsonl'), 'utf8'));
  expect(io.err()).toContain('1 dead letter at filter: missing_key');
  expect(io.err()).toContain('12 records in, 4 out, 0 late');
});

test('standard input is read where the file is -', async () => {
  const dir = join(CASES, 'hopping');
  const io = fakeStreams(readFileSync(join(dir, 'input.jsonl'), 'utf8').trimEnd());
  expect(await dryRunCommand({ ...plain, job: join(dir, 'job.yaml'), input: ['in=-'] }, io)).toBe(
    0,
  );
  expect(io.out()).toBe(readFileSync(join(dir, 'expected.jsonl'), 'utf8'));
});

test('inputs merge by time, then by the order of the arguments', async () => {
  const job = write(
    'job.yaml',
    [
      'apiVersion: runnel/v1',
      'kind: StreamJob',
      'metadata: { name: merge }',
      'sources: { a: { mqtt: { topic: a } }, b: { mqtt: { topic: b } } }',
      'steps: [{ map: { select: { v: payload } } }]',
    ].join('\n'),
  );
  const a = write('a.jsonl', '{"time":1,"payload":"a1"}\n{"time":5,"payload":"a5"}\n');
  const b = write('b.jsonl', '{"time":1,"payload":"b1"}\n{"time":3,"payload":"b3"}\n');
  const order = async (input: string[]): Promise<unknown[]> => {
    const io = fakeStreams();
    expect(await dryRunCommand({ ...plain, job, input }, io)).toBe(0);
    const lines = io.out().trim().split('\n');
    return lines.map((line) => (JSON.parse(line) as { value: { v: string } }).value.v);
  };
  expect(await order([`a=${a}`, `b=${b}`])).toEqual(['a1', 'b1', 'b3', 'a5']);
  expect(await order([`b=${b}`, `a=${a}`])).toEqual(['b1', 'a1', 'b3', 'a5']);
});

test('--no-flush leaves open windows open, and --param sets a parameter', async () => {
  const dir = join(CASES, 'hopping');
  const io = fakeStreams();
  const input = [`in=${join(dir, 'input.jsonl')}`];
  const options = { job: join(dir, 'job.yaml'), input, param: [], flush: false };
  expect(await dryRunCommand(options, io)).toBe(0);
  expect(io.out().trim().split('\n')).toHaveLength(4);
  const alerts = join(CASES, 'alert-hold-hysteresis');
  const none = fakeStreams();
  const raised = {
    job: join(alerts, 'job.yaml'),
    input: [`in=${join(alerts, 'input.jsonl')}`],
    param: ['limit=100'],
    flush: true,
  };
  expect(await dryRunCommand(raised, none)).toBe(0);
  expect(none.out()).toBe('');
});

test('a line that is no entry is named with file and line, after what came before it', async () => {
  const job = join(CASES, 'watermark-lines', 'job.yaml');
  const lines = ['{"time":1,"payload":{}}', '{"watermark":20000}', '', '{"time":2,"payload":'];
  const input = write('in.jsonl', lines.join('\n'));
  const io = fakeStreams();
  expect(await dryRunCommand({ ...plain, job, input: [`in=${input}`] }, io)).toBe(1);
  expect(io.err()).toContain(`${input}:4: the line is no JSON`);
  expect(io.out()).toContain('"windowEnd":10000');
  const untimed = write('in.jsonl', '{"payload":{}}\n');
  const other = fakeStreams();
  expect(await dryRunCommand({ ...plain, job, input: [`in=${untimed}`] }, other)).toBe(1);
  expect(other.err()).toContain(`${untimed}:1: the line has no time`);
});

test('a wrong job or command line is exit code 2 and says where and how to mend it', async () => {
  const job = write(
    'job.yaml',
    [
      'apiVersion: runnel/v1',
      'kind: StreamJob',
      'metadata: { name: wrong }',
      'sources: { in: { mqtt: { topic: a } } }',
      'steps:',
      '  - window: { tumbling: 10s }',
      '    aggregate: { rms: "average(payload.rms)", q: "quantile(payload.v, 2)" }',
      '  - alert: { when: "rsm > 1" }',
    ].join('\n'),
  );
  const io = fakeStreams();
  expect(await dryRunCommand({ ...plain, job, input: ['in=-'] }, io)).toBe(2);
  expect(io.err()).toMatch(/steps\[0\]\.aggregate\.rms.*line 7.*no aggregate/);
  expect(io.err()).toMatch(/steps\[0\]\.aggregate\.q.*from 0 to 1/);
  expect(io.err()).toMatch(/steps\[1\]\.alert\.when.*line 8/);
  const good = join(CASES, 'hopping', 'job.yaml');
  for (const input of [[], ['other=-'], ['in'], ['in=-', 'in=-']]) {
    const streams = fakeStreams();
    expect(await dryRunCommand({ ...plain, job: good, input }, streams), input.join(' ')).toBe(2);
    expect(streams.out()).toBe('');
    expect(streams.err()).toMatch(/^runnel-agent: /);
  }
  const missing = fakeStreams();
  expect(await dryRunCommand({ ...plain, job: '/none.yaml', input: [] }, missing)).toBe(2);
});

test('output waits for a slow reader instead of piling up', async () => {
  const dir = tempDir('dry-run');
  const input = join(dir, 'in.jsonl');
  const count = 20_000;
  const line = (index: number): string =>
    `{"time":${index},"payload":{"v":"${'x'.repeat(100)}"}}\n`;
  writeFileSync(input, Array.from({ length: count }, (_, index) => line(index)).join(''));
  const job = write(
    'job.yaml',
    [
      'apiVersion: runnel/v1',
      'kind: StreamJob',
      'metadata: { name: all }',
      'sources: { in: { mqtt: { topic: a } } }',
      'steps: [{ filter: "true" }]',
    ].join('\n'),
  );
  let [lines, pending, most] = [0, 0, 0];
  const slow = new Writable({
    highWaterMark: 16_384,
    write(chunk: Buffer, _encoding, done) {
      pending += chunk.length;
      most = Math.max(most, slow.writableLength);
      lines += chunk.toString().split('\n').length - 1;
      setImmediate(() => {
        pending -= chunk.length;
        done();
      });
    },
  });
  const io = { ...fakeStreams(), stdout: slow };
  expect(await dryRunCommand({ ...plain, job, input: [`in=${input}`] }, io)).toBe(0);
  await new Promise<void>((resolve) => slow.end(resolve));
  expect(lines).toBe(count);
  expect(pending).toBe(0);
  expect(most).toBeLessThan(512 * 1024);
});

const TESTED = [
  'apiVersion: runnel/v1',
  'kind: StreamJob',
  'metadata: { name: tested }',
  'parameters: { limit: { type: number, default: 10 } }',
  'sources: { in: { mqtt: { topic: a } } }',
  'steps:',
  '  - window: { tumbling: 10s, by: "payload.id" }',
  '    aggregate: { peak: "max(payload.v)" }',
  '  - alert: { when: "peak > params.limit" }',
].join('\n');

test('the tests beside a job pass when the lines match as far as they are given', async () => {
  const job = write('job.yaml', TESTED);
  writeFileSync(
    job.replace('.yaml', '.test.yaml'),
    [
      'tests:',
      '  - name: a hot one raises an alert',
      '    input:',
      '      in:',
      '        - { time: 1s, payload: { id: a, v: 11 } }',
      '        - { time: 2000, payload: { id: a } }',
      '        - { watermark: 10s }',
      '    flush: false',
      '    expect: [{ output: alert, key: a, value: { status: firing, peak: 11 } }]',
      '    deadLetters: [{ step: window, reason: missing_key }]',
      '  - name: a higher limit raises none',
      '    params: { limit: 20 }',
      '    input: { in: [{ time: 1s, payload: { id: a, v: 11 } }] }',
      '    expect: []',
    ].join('\n'),
  );
  const io = fakeStreams();
  expect(await testCommand({ job }, io), io.err()).toBe(0);
  expect(io.out()).toContain('ok   a hot one raises an alert');
  expect(io.out()).toContain('2 of 2 tests pass');
});

test('a test that fails shows what was expected and what came, and exits with 1', async () => {
  const job = write('job.yaml', TESTED);
  const tests = job.replace('.yaml', '.test.yaml');
  writeFileSync(
    tests,
    [
      'tests:',
      '  - name: wrong',
      '    input: { in: [{ time: 1s, payload: { id: a, v: 11 } }, { time: 1s, payload: 3 }] }',
      '    expect: [{ output: alert, value: { status: resolved } }]',
    ].join('\n'),
  );
  const io = fakeStreams();
  expect(await testCommand({ job }, io)).toBe(1);
  expect(io.out()).toContain('FAIL wrong');
  expect(io.out()).toContain('    - {"output":"alert","value":{"status":"resolved"}}');
  expect(io.out()).toMatch(/ {4}\+ \{"output":"alert".*"firing"/);
  expect(io.out()).toMatch(/dead letters:\n.*\+ \{"step":"window"/);
  writeFileSync(tests, 'tests: [{ name: x, inputs: {}, input: { out: [] }, expect: [] }]');
  const wrong = fakeStreams();
  expect(await testCommand({ job }, wrong)).toBe(2);
  expect(wrong.err()).toContain('unknown key "inputs"');
  const swapped = fakeStreams();
  expect(await testCommand({ job: tests }, swapped)).toBe(2);
  expect(swapped.err()).toContain(`this is the test file; give ${basename(job)}`);
});
