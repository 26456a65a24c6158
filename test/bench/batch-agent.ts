/**
 * The core of an agent in the process of a measurement: real store, clock and commits, no link.
 * Its sources give nothing; what a query reads is put into its journal before it opens.
 */
import { join } from 'node:path';
import { pino } from 'pino';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { BATCH_BUDGET } from '@runnel/agent/batch/batch-budget.ts';
import type { RunChange } from '@runnel/agent/batch/batch-engine.ts';
import { openCheckpointStore } from '@runnel/agent/checkpoints/checkpoint-store.ts';
import { defaultPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { taskPolicy } from '@runnel/agent/config/task-policy.ts';
import { BlockWriter } from '@runnel/agent/journal/block-writer.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { AgentRuntime } from '@runnel/agent/streams/agent-runtime.ts';
import { ScriptedSource } from '../agent/streams/scripted-source.ts';
import { bundleTool, repository } from '../support/processes.ts';

const STORE_BYTES_MAX = 1 << 30;

export interface BatchAgent {
  readonly runtime: AgentRuntime;
  /** Runs the job once and resolves when its end is on disk. */
  run(job: string): Promise<RunChange>;
}

export async function openBatchAgent(
  dataDir: string,
  jobs: readonly DesiredJob[],
): Promise<BatchAgent> {
  const runtime = await AgentRuntime.open({
    dataDir,
    clock: systemClock,
    random: systemRandom,
    log: pino({ level: 'silent' }),
    agent: 'bench',
    conditions: new Conditions(systemClock),
    createSource: ({ id }) => new ScriptedSource(id),
    createSink: () => {
      throw new RunnelError('no_sink', 'a measurement has no local sinks');
    },
    verifyEntry: join(repository, 'agent/dist/verify-store.js'),
    budgets: { storeBytesMax: STORE_BYTES_MAX, journalBytesMax: STORE_BYTES_MAX / 2 },
    batch: {
      name: 'bench',
      labels: {},
      budget: { ...BATCH_BUDGET, cpu: 4 },
      policy: taskPolicy(defaultPolicy, dataDir, {}),
      broker: null,
      childEntry: bundleTool('agent/batch/child/task-child.ts'),
    },
  });
  await runtime.applyJobs(jobs);
  let commands = 0;
  return {
    runtime,
    async run(job) {
      const ended = new Promise<RunChange>((resolve) => {
        const stop = runtime.batch.onRunChange((change) => {
          if (change.run.job !== job || change.run.endedAt === null) return;
          stop();
          resolve(change);
        });
      });
      await runtime.batchCommand({
        v: 1,
        id: `bench-${process.pid}-${++commands}`,
        action: 'run',
        job,
        partition: null,
        parameters: {},
        fullRefresh: false,
      });
      return ended;
    },
  };
}

export function batchJob(name: string, body: Readonly<Record<string, unknown>>): DesiredJob {
  const document = { apiVersion: 'runnel/v1', kind: 'BatchJob', metadata: { name }, ...body };
  return { name, version: 1, hash: name, document, parameters: {}, paused: false };
}

/**
 * Records of one source, evenly over `[fromMs, toMs)`, as an agent's commits would have left them.
 */
export async function fillJournal(
  dataDir: string,
  source: string,
  records: number,
  [fromMs, toMs]: readonly [number, number],
): Promise<void> {
  const store = openCheckpointStore({
    dir: join(dataDir, 'store'),
    bytesMax: STORE_BYTES_MAX,
    monotonicMs: () => systemClock.monotonicMs(),
  });
  let [block, before, bytes] = [1, 0, 0];
  let sealed: { readonly block: number; readonly data: Buffer }[] = [];
  let writer = new BlockWriter(block);
  const seal = (): void => {
    const data = writer.seal(0, before, bytes);
    sealed.push({ block: writer.block, data });
    before += writer.records;
    bytes += data.length;
    writer = new BlockWriter(++block);
  };
  const flush = async (): Promise<void> => {
    await store.commit((tx) => {
      for (const each of sealed) tx.put('journal', each.block, each.data);
    });
    sealed = [];
  };
  for (let index = 0; index < records; index += 1) {
    const machine = `press-${index % 100}`;
    const text = `{"machine":"${machine}","rms":${(index % 977) / 100},"status":"ok","n":${index}}`;
    const payload = Buffer.from(text);
    if (!writer.fits(payload.length + 200)) seal();
    const at = Math.floor(fromMs + ((toMs - fromMs) * index) / records);
    writer.record(source, `${machine}/vibration`, payload, undefined, at);
    if (sealed.length >= 200) await flush();
  }
  seal();
  await flush();
  await store.close();
}
