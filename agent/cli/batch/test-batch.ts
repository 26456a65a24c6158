/**
 * `runnel-agent test batch.yaml`: runs the tests beside a batch job (batch-test-file.ts), each on a
 * directory of its own, with the device's own code and no servers but the one that the test answers
 * with.
 *
 * Pauses between attempts are left out; everything else is as on a device at that time. Prints one
 * line per test and, where it fails, what was expected (`-`) and what came (`+`). Exit codes: 0 all
 * pass, 1 one fails, 2 the job, its tests or the command line are wrong.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import type { Json } from '@runnel/shared/engine/record.ts';
import type { DryRunEntry } from '@runnel/shared/engine/dry-run.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { partitionNamed, partitionsAt } from '@runnel/shared/schedule/partitions.ts';
import { agentPolicy } from '@runnel/shared/policy/agent-policy.ts';
import { taskPolicy } from '../../config/task-policy.ts';
import type { CommandStreams } from '../dry-run.ts';
import { errorText } from '../error-text.ts';
import type { ExitCode } from '../exit-code.ts';
import { reportTests } from '../report-tests.ts';
import { readText } from '../load-stream-job.ts';
import { refuseTestFile, testFileOf } from '../test.ts';
import { batchExitCode } from './batch-exit-code.ts';
import { type AnsweringServer, answeringServer } from './answering-server.ts';
import { type BatchStep, type BatchTest, parseBatchTests } from './batch-test-file.ts';
import { compareRun } from './compare-run.ts';
import { dataDirectory } from './data-directory.ts';
import { readerJob } from './found-files.ts';
import { putDatasets } from './given-datasets.ts';
import { sourcesOf } from './input-files.ts';
import { type JournalSources, journalSources } from './journal-inputs.ts';
import { batchParameters, type LoadedBatchJob, loadBatchJob } from './load-batch-job.ts';
import { LocalDevice, type LocalWorld } from './local-device.ts';
import { type LocalPolicy, localPolicy } from './local-policy.ts';

export async function testBatchCommand(
  options: { readonly job: string },
  io: Pick<CommandStreams, 'stdout' | 'stderr'>,
  world: LocalWorld,
): Promise<ExitCode> {
  try {
    refuseTestFile(options.job);
    const job = await loadBatchJob(options.job);
    const tests = parseBatchTests(await readText(testFileOf(options.job)), {
      sources: sourcesOf(job.job),
      tasks: job.job.tasks.map(({ id }) => id),
    });
    return await reportTests(tests, async (test) => runTest(job, test, world), io);
  } catch (error) {
    io.stderr.write(errorText(error));
    return batchExitCode(error);
  }
}

async function runTest(job: LoadedBatchJob, test: BatchTest, world: LocalWorld): Promise<string[]> {
  const directory = dataDirectory(undefined);
  const server = test.http && (await answeringServer(test.http.answers));
  const { path: dataDir } = directory;
  try {
    const first = await runStep({ job, test, step: test, world, dataDir, server });
    const problems = [...first];
    for (const [index, step] of test.later.entries()) {
      if (step.answers !== undefined) server?.answer(step.answers);
      const found = await runStep({ job, test, step, world, dataDir, server });
      problems.push(...found.map((line) => `later[${index}]: ${line}`));
    }
    return problems;
  } finally {
    await server?.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

interface TestSite {
  readonly job: LoadedBatchJob;
  readonly test: BatchTest;
  readonly step: Omit<BatchStep, 'answers'>;
  readonly world: LocalWorld;
  readonly dataDir: string;
  readonly server: AnsweringServer | undefined;
}

async function runStep(site: TestSite): Promise<string[]> {
  const { job, test, step, world, dataDir, server } = site;
  const parameters = { ...test.params, ...(test.http && { [test.http.param]: server?.url }) };
  batchParameters(job, parameters, 'the test');
  writeFiles(dataDir, step.files);
  const partition = partitionOf(site);
  const sources = sourcesFor(site);
  const device = await LocalDevice.open({
    ...world,
    dataDir,
    name: job.job.name,
    sources,
    parameters,
    policy: await policyOf(site),
    atMs: step.at,
    inputs: Object.entries(step.input).map(([source, records]) => ({
      ...sources.of(source),
      chunks: oneChunk(records.map((record) => entryOf(record, partition))),
    })),
    prepare: (store) => putDatasets(store, dataDir, step, job.job),
    changed: () => {},
  });
  try {
    const run = await device.run(partition, step.fullRefresh);
    const received = server?.take() ?? [];
    return await compareRun({ expect: step.expect, run, device, dataDir, received });
  } finally {
    await device.close();
  }
}

function partitionOf({ job, test, step }: TestSite): Partition {
  const { partition: definition } = job.job;
  if (step.partition !== undefined) return partitionNamed(definition, step.partition, step.at);
  const [first, second] = partitionsAt(definition, step.at);
  if (first !== undefined && second === undefined) return first;
  throw new RunnelError('usage', `test "${test.name}": the job has several partitions then`, {
    hint: `Say which: partition: ${first?.id ?? 'ID'}`,
  });
}

function sourcesFor({ job, step }: TestSite): JournalSources {
  const document = withoutPauses(job.parsed.document);
  const made = journalSources(document, sourcesOf(job.job));
  const files = Object.entries(step.expect.files);
  const reader = readerJob(files.filter(([, rows]) => Array.isArray(rows)).map(([path]) => path));
  return reader === undefined ? made : { ...made, others: [...made.others, reader] };
}

/** A second attempt follows the first at once. */
function withoutPauses(document: Json): Json {
  const { tasks, ...rest } = document as { readonly tasks: readonly Document[] };
  const hurried = tasks.map((task): Document => {
    if (typeof task.retry !== 'object' || task.retry === null) return task;
    const retry = task.retry as Document;
    return { ...task, retry: { ...retry, backoff: { initial: '1ms', max: '1ms' } } };
  });
  return { ...rest, tasks: hurried };
}

type Document = Readonly<Record<string, Json>>;

async function policyOf({ job, test, dataDir }: TestSite): Promise<LocalPolicy> {
  const { env, policy } = test;
  if (policy === undefined) {
    return localPolicy({ policyFile: undefined, jobFile: job.file, dataDir, env });
  }
  const head = { apiVersion: 'runnel/v1', kind: 'AgentPolicy' };
  const parsed = agentPolicy.parse({ ...head, ...policy });
  return { gate: undefined, tasks: taskPolicy(parsed, dataDir, env) };
}

function writeFiles(dataDir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const file = join(dataDir, path);
    if (!file.startsWith(dataDir + sep)) {
      throw new RunnelError('usage', `files: ${path} is not below the data directory`);
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

function entryOf(
  { time, topic, payload }: BatchStep['input'][string][number],
  { start }: Partition,
): DryRunEntry {
  const timeMs = epochMs(time.ms + (time.afterStart ? start : 0));
  return { kind: 'record', timeMs, record: { topic, payload: payload ?? null, meta: {} } };
}

async function* oneChunk(entries: readonly DryRunEntry[]): AsyncGenerator<readonly DryRunEntry[]> {
  yield entries.toSorted((a, b) => a.timeMs - b.timeMs);
}
