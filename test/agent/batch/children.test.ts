/** Work in a process of its own: however it ends, the attempt learns why and nothing stays. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { TaskChildren } from '@runnel/agent/batch/child/children.ts';
import { groupMembers } from '@runnel/agent/batch/child/process-group.ts';
import { TaskError } from '@runnel/agent/batch/tasks/task-error.ts';
import type { ChildRequest } from '@runnel/agent/batch/tasks/task-services.ts';
import { childEntry } from '../../support/child-entry.ts';
import { start } from '../../support/processes.ts';
import { taskSite } from '../../support/task-context.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';

const MIB = 1024 * 1024;

/** A child that does what `body` says with `message` and `say`. */
function scripted(body: string, signal?: AbortSignal) {
  const site = taskSite();
  const entry = join(site.dataDir, 'child.mjs');
  const say =
    'const say = (message) => process.send(message);\n' +
    "process.once('disconnect', () => process.exit(1));";
  writeFileSync(
    entry,
    `import { spawn } from 'node:child_process';\n${say}\n` +
      `process.on('message', async (message) => {\n${body}\n});\n`,
  );
  const program = site.program({ tasks: [{ id: 't', value: { value: 1 } }] });
  const context = site.context(program, 't', signal === undefined ? {} : { signal });
  const children = new TaskChildren({ entry, clock: systemClock });
  return (more: Partial<ChildRequest> = {}): Promise<unknown> =>
    children.run(context, { kind: 'x', body: 7, memoryBytesMax: 256 * MIB, ...more });
}

async function failure(running: Promise<unknown>): Promise<TaskError> {
  const error = await running.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(TaskError);
  return error as TaskError;
}

const DONE = "say({ type: 'done', value });\nprocess.disconnect();";

describe('the child of the tasks', () => {
  it('is below the agent for kernel and scheduler, and ends when the agent is gone', async () => {
    const dir = tempDir('orphan');
    const agent = join(dir, 'agent.mjs');
    const body = {
      query: 'SELECT count(*) FROM range(1000000000) a, range(1000000000) b',
      values: [],
      tables: [],
      scratchDir: dir,
      tempBytesMax: MIB,
      rowsFile: join(dir, 'rows.jsonl'),
      bytesMax: MIB,
      rowBytesMax: MIB,
      copy: null,
    };
    const request = { type: 'request', kind: 'sql', body, memoryBytesMax: 256 * MIB };
    writeFileSync(
      agent,
      `import { spawn } from 'node:child_process';
       const stdio = ['ignore', 'ignore', 'inherit', 'ipc'];
       const options = { detached: true, stdio };
       const child = spawn(process.execPath, [${JSON.stringify(childEntry())}], options);
       child.on('message', () => {
         child.send({ type: 'answer', value: [] });
         console.log('pid', child.pid);
       });
       child.send(${JSON.stringify(request)});`,
    );
    const started = start(agent, [], join(dir, 'log'));
    onTestFinished(() => started.end('SIGKILL'));
    const pid = await waitFor('the child', () => /pid (\d+)/.exec(started.output())?.[1]);
    const of = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
    expect(of('oom_score_adj').trim()).toBe('900');
    expect(of('stat').split(') ')[1]?.split(' ')[16]).toBe('5');
    await started.end('SIGKILL');
    await waitFor('its end', () => groupMembers(Number(pid)).length === 0);
  });
});

describe('a child', () => {
  it('gets its request and gives its answer', async () => {
    const run = scripted(`const value = [message.kind, message.body];\n${DONE}`);
    expect(await run()).toEqual(['x', 7]);
  });

  it('asks on its way', async () => {
    const run = scripted(
      "if (message.type === 'request') return say({ type: 'ask', question: 2 });\n" +
        `const { value } = message;\n${DONE}`,
    );
    expect(await run({ answer: async (question) => (question as number) + 1 })).toBe(3);
    expect((await failure(run())).code).toBe('child_question');
    const reason = new TaskError('data', 'broken', 'no answer');
    expect(await failure(run({ answer: () => Promise.reject(reason) }))).toBe(reason);
  });

  it('names the class of its failure', async () => {
    const run = scripted(
      "say({ type: 'failed', class: 'data', code: 'c', message: 'm', hint: 'h' });\n" +
        'process.disconnect();',
    );
    expect(await failure(run())).toMatchObject({
      class: 'data',
      code: 'c',
      message: 'm',
      hint: 'h',
    });
  });

  it('that dies is a failed attempt with the end of what it said', async () => {
    const run = scripted("process.stderr.write('the last word\\n', () => process.exit(3));");
    const error = await failure(run());
    expect(error.class).toBe('process');
    expect(error.message).toContain('ended with code 3: the last word');
    const killed = scripted("process.kill(process.pid, 'SIGKILL');");
    expect((await failure(killed())).message).toContain('was ended by SIGKILL');
  });

  it('that does not end after its answer is ended', async () => {
    const run = scripted("say({ type: 'done', value: 1 });\nsetInterval(() => {}, 1000);");
    expect(await run()).toBe(1);
  });

  it('that takes more memory than it may is ended as resources', async () => {
    const run = scripted(
      'globalThis.kept = [];\nsetInterval(() => kept.push(Buffer.alloc(20_000_000, 1)), 20);',
    );
    const error = await failure(run({ memoryBytesMax: 150 * MIB }));
    expect(error).toMatchObject({ class: 'resources', code: 'child_memory' });
    expect(error.message).toMatch(/more than 150 MiB/);
  });

  it('whose JavaScript runs out of memory is resources too', async () => {
    const run = scripted(
      'const kept = [];\nfor (;;) kept.push({ at: kept.length, of: [kept.length] });',
    );
    const error = await failure(run({ memoryBytesMax: 96 * MIB }));
    expect(error).toMatchObject({ class: 'resources', code: 'child_memory' });
  });

  it('is ended with all that it has started when the attempt is told to end', async () => {
    const control = new AbortController();
    const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
    const run = scripted(
      `const args = ['-e', ${JSON.stringify(script)}];\n` +
        "const child = spawn(process.execPath, args, { stdio: 'ignore' });\n" +
        "say({ type: 'ask', question: [process.pid, child.pid] });",
      control.signal,
    );
    let pids: number[] = [];
    const answer = (question: unknown): Promise<unknown> => {
      pids = question as number[];
      control.abort(new TaskError('timeout', 'task_timeout', 'too long'));
      return new Promise(() => {});
    };
    const error = await failure(run({ answer }));
    expect(error.code).toBe('task_timeout');
    const [leader = 0, grandchild] = pids;
    expect(grandchild).toBeGreaterThan(0);
    await waitFor('the group to be gone', () => groupMembers(leader).length === 0);
  });

  it('sees nothing of the environment of the agent', async () => {
    process.env.RUNNEL_SECRET_TEST = 'secret';
    const run = scripted(`const value = process.env;\n${DONE}`);
    const seen = (await run()) as Record<string, string>;
    delete process.env.RUNNEL_SECRET_TEST;
    const allowed = /^(PATH|LANG|LC_[A-Z]+|TZ|TMPDIR|NODE_CHANNEL_\w+)$/;
    expect(Object.keys(seen).filter((name) => !allowed.test(name))).toEqual([]);
    expect(seen.PATH).toBe(process.env.PATH);
  });
});
