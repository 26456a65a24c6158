/** `runnel test batch.yaml`: what a test may give and expect, and what it shows when it fails. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jobFile, runTests } from './batch-world.ts';

const JOB = `
partition: { every: 1d }
parameters:
  url: { type: string, default: "http://127.0.0.1:1" }
  most: { type: number, default: 5 }
tasks:
  - id: rows
    transform:
      journal: readings
      steps: [{ map: { select: { v: payload.v } } }]
  - id: check
    needs: rows
    quality: { input: rows, checks: [{ range: { column: v, max: "{{ params.most }}" } }] }
  - id: keep
    needs: check
    publish: { from: rows, dataset: kept, deliver: true }
  - id: file
    needs: check
    load: { input: rows, file: { path: "out/{{ partition.date }}.jsonl" } }
  - id: tell
    needs: check
    http: { method: POST, url: "{{ params.url }}/told", body: { day: "{{ partition.date }}" } }
    retry: { attempts: 2, backoff: { initial: 5m } }
`;

const AT = 'at: 2026-11-23T01:00:00Z';
const INPUT =
  'input: { readings: [{ time: 1h, payload: { v: 1 } }, { time: 25h, payload: { v: 9 } }] }';
const SERVER = 'http: { param: url, answers: [{ method: POST, path: /told, status: 204 }] }';

async function tests(yaml: string, job = JOB) {
  const file = jobFile(job);
  writeFileSync(join(dirname(file), 'job.test.yaml'), `tests:\n${yaml}`);
  return runTests(file);
}

describe('a test', () => {
  it('passes when everything that it expects is there', async () => {
    const ran = await tests(`
  - name: all
    ${AT}
    ${INPUT}
    ${SERVER}
    expect:
      state: success
      tasks:
        rows: { rows: [{ v: 1 }], output: { rowCount: 1 } }
        check: success
        tell: { attempt: 1 }
      results: { kept: [{ v: 1 }] }
      datasets: { kept: { "2026-11-22": [{ v: 1 }] } }
      files: { out/2026-11-22.jsonl: [{ v: 1 }], out/other.jsonl: null }
      http: [{ method: POST, path: /told, body: { day: "2026-11-22" } }]`);
    expect([ran.code, ran.out]).toEqual([0, 'ok   all\n1 of 1 tests pass\n']);
  });

  it('shows each thing that is not as expected', async () => {
    const ran = await tests(`
  - name: wrong
    ${AT}
    ${INPUT}
    ${SERVER}
    expect:
      state: failed
      tasks: { rows: { rows: [{ v: 2 }] }, check: failed, file: { error: data } }
      results: { kept: [] }
      datasets: { kept: { "2026-11-21": [] } }
      files: { out/2026-11-22.jsonl: null, gone.csv: x }
      http: []`);
    expect(ran.code).toBe(1);
    for (const line of [
      'run job/2026-11-22: expected failed, was success',
      'task rows: rows:\n    - {"v":2}\n    + {"_time":1795309200000,"v":1}',
      'task check: expected state failed, was success',
      'task file: expected the error data, was none',
      'results kept:\n    + {',
      'dataset kept: has no partition 2026-11-21; there: 2026-11-22',
      'file out/2026-11-22.jsonl: expected none',
      'file gone.csv: is not there',
    ]) {
      expect(ran.out).toContain(line);
    }
    expect(ran.out).toContain('0 of 1 tests pass');
  });

  it('leaves out the pauses of retries, and tells why a run failed', async () => {
    const ran = await tests(`
  - name: told at last
    ${AT}
    ${INPUT}
    http: { param: url, answers: [] }
    expect: { state: failed, tasks: { tell: { state: failed, error: rejected } } }
  - name: not as expected
    ${AT}
    ${INPUT}
    params: { most: 0 }
    expect: { state: success }`);
    expect(ran.out).toContain('ok   told at last');
    expect(ran.out).toContain('FAIL not as expected');
    expect(ran.out).toMatch(/check: .*range v.*\(data\)/);
  });

  it('goes on with later runs on the same device', async () => {
    const job = `
parameters: { url: { type: string, default: "http://127.0.0.1:1" } }
tasks:
  - id: fetch
    extract:
      http: { url: "{{ params.url }}/r" }
      cursor: { value: row.id, from: 0, param: after }`;
    const ran = await tests(
      `
  - name: two
    ${AT}
    http: { param: url, answers: [{ method: GET, path: /r, body: [{ id: 7 }] }] }
    expect: { http: [{ path: /r?after=0 }] }
    later:
      - at: 2026-11-23T02:00:00Z
        answers: [{ method: GET, path: /r, body: [] }]
        expect: { tasks: { fetch: { output: { rowCount: 0 } } }, http: [{ path: /r?after=7 }] }
      - at: 2026-11-23T03:00:00Z
        expect: { http: [{ path: /r?after=8 }] }`,
      job,
    );
    expect([ran.code, ran.err]).toEqual([1, '']);
    expect(ran.out).toContain('later[1]: http:');
    expect(ran.out).not.toContain('later[0]');
  });

  it.each([
    ['at: noon', 'is no time'],
    [`${AT}\n    input: { reading: [] }`, 'the job has no source "reading"'],
    [`${AT}\n    expect: { tasks: { row: success } }`, 'the job has no task "row"'],
    [`${AT}\n    params: { mst: 1 }`, 'did you mean "most"'],
    [`${AT}\n    partition: x`, 'the job has no partition "x"'],
    [`${AT}\n    files: { ../x: a }`, 'is not below the data directory'],
  ])('that is wrong is told: %s', async (line, text) => {
    const wants = line.includes('expect') ? '' : '\n    expect: {}';
    const ran = await tests(`  - name: wrong\n    ${line}${wants}`);
    expect([ran.code, ran.err.includes(text)]).toEqual([2, true]);
  });
});
