/**
 * `runnel-agent dry-run batch.yaml`: the plan of the runs that a time would start, or with
 * `--execute` these runs on this machine, with the device's own code and no servers.
 *
 * stdout holds only the plan or the lines of the tasks and runs; what else people should know goes
 * to stderr. Exit codes: 0 every run succeeded (or the plan is printed), 1 one did not, 2 the job,
 * the input or the command line is wrong.
 */
import type { Partition } from '@runnel/shared/schedule/partition.ts';
import { partitionNamed, partitionsAt } from '@runnel/shared/schedule/partitions.ts';
import { inert } from '@runnel/shared/terminal-text.ts';
import type { RunChange } from '../../batch/batch-engine.ts';
import { runKey } from '../../batch/dag/task-scope.ts';
import type { RunRecord } from '../../batch/records.ts';
import type { CommandStreams } from '../dry-run.ts';
import { errorText } from '../error-text.ts';
import { type ExitCode, exitCodes } from '../exit-code.ts';
import { parseParameters } from '../load-stream-job.ts';
import { batchExitCode } from './batch-exit-code.ts';
import { dataDirectory } from './data-directory.ts';
import { inputFiles, missingInputs, sourcesOf } from './input-files.ts';
import { instantOption } from './instant-option.ts';
import { journalSources } from './journal-inputs.ts';
import { batchParameters, type LoadedBatchJob, loadBatchJob } from './load-batch-job.ts';
import { LocalDevice, type LocalWorld } from './local-device.ts';
import { localPolicy } from './local-policy.ts';
import { batchPlan } from './batch-plan.ts';
import { planText } from './plan-text.ts';
import { EndedTasks, runLineText, type TaskLine, taskLineText } from './run-lines.ts';
import { runText } from './run-text.ts';

export interface DryRunBatchOptions {
  readonly job: string;
  /** ISO 8601 or epoch ms; default: now. */
  readonly at?: string | undefined;
  readonly param: readonly string[];
  readonly input: readonly string[];
  readonly output: 'text' | 'json' | 'jsonl';
  readonly execute: boolean;
  readonly data?: string | undefined;
  readonly partition?: string | undefined;
  readonly fullRefresh: boolean;
  readonly policy?: string | undefined;
}

/** What commands of batch jobs need of the composition root. */
export interface BatchWorld extends LocalWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of SIGINT and SIGTERM; the returned function stops that. */
  readonly onInterrupt: (listener: () => void) => () => void;
}

export async function dryRunBatchCommand(
  options: DryRunBatchOptions,
  io: CommandStreams,
  world: BatchWorld,
): Promise<ExitCode> {
  try {
    const job = await loadBatchJob(options.job);
    const given = parseParameters(options.param);
    const parameters = batchParameters(job, given, '--param');
    const nowMs = world.clock.now();
    const atMs = options.at === undefined ? nowMs : instantOption('--at', options.at);
    const { partition: definition } = job.job;
    const partitions =
      options.partition === undefined
        ? partitionsAt(definition, atMs)
        : [partitionNamed(definition, options.partition, atMs)];
    if (!options.execute) {
      const plan = batchPlan({ job, parameters, atMs, partitions });
      const isJson = options.output === 'json';
      io.stdout.write(inert(isJson ? `${JSON.stringify(plan, null, 2)}\n` : planText(plan)));
      return exitCodes.ok;
    }
    return await execute({ job, given, atMs, partitions, options }, io, world);
  } catch (error) {
    io.stderr.write(errorText(error));
    return batchExitCode(error);
  }
}

interface Execution {
  readonly job: LoadedBatchJob;
  readonly given: Readonly<Record<string, unknown>>;
  readonly atMs: number;
  readonly partitions: readonly Partition[];
  readonly options: DryRunBatchOptions;
}

async function execute(
  { job, given, atMs, partitions, options }: Execution,
  io: CommandStreams,
  world: BatchWorld,
): Promise<ExitCode> {
  const note = (text: string): boolean => io.stderr.write(`${inert(text)}\n`);
  const inputs = inputFiles(options.input, job.job, io.stdin);
  const directory = dataDirectory(options.data);
  const { path: dataDir } = directory;
  try {
    const policy = await localPolicy({
      policyFile: options.policy,
      jobFile: options.job,
      dataDir,
      env: world.env,
    });
    for (const source of missingInputs(job.job, inputs)) {
      note(`the journal of "${source}" is empty here: fill it with --input ${source}=FILE.jsonl`);
    }
    const sources = journalSources(job.parsed.document, sourcesOf(job.job));
    const shown = new Shown(options.output, io, note);
    const device = await LocalDevice.open({
      ...world,
      dataDir,
      name: job.job.name,
      sources,
      parameters: given,
      policy,
      atMs,
      inputs: inputs.map(({ source, chunks }) => ({ ...sources.of(source), chunks })),
      changed: (change, now) => shown.tasks(change, now),
    });
    const stopListening = world.onInterrupt(() => {
      note(
        device.interrupted ? 'ending now' : 'cancelling; a second signal ends teardown tasks too',
      );
      // A third signal finds nobody who listens.
      if (device.interrupted) stopListening();
      device.interrupt();
    });
    try {
      return await runAll(device, partitions, { shown, fullRefresh: options.fullRefresh });
    } finally {
      stopListening();
      await device.close();
    }
  } finally {
    const kept = directory.settle();
    if (kept.length > 0) note(`files that the job made are in ${dataDir}: ${kept.join(', ')}`);
  }
}

/** One after the other, so that the lines of a run stand together. */
async function runAll(
  device: LocalDevice,
  partitions: readonly Partition[],
  { shown, fullRefresh }: { readonly shown: Shown; readonly fullRefresh: boolean },
): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  for (const partition of partitions) {
    if (device.interrupted) return exitCodes.failed;
    const run = await device.run(partition, fullRefresh);
    shown.run(run);
    if (run.state !== 'success') code = exitCodes.failed;
  }
  return code;
}

/** Lines as they come for programs; for people a table when the run has ended. */
class Shown {
  readonly #output: DryRunBatchOptions['output'];
  readonly #io: CommandStreams;
  readonly #ended: EndedTasks;
  #lines: TaskLine[] = [];

  constructor(
    output: DryRunBatchOptions['output'],
    io: CommandStreams,
    note: (text: string) => void,
  ) {
    this.#output = output;
    this.#io = io;
    this.#ended = new EndedTasks(note);
  }

  tasks(change: RunChange, nowMs: number): void {
    const lines = this.#ended.lines(change, nowMs);
    if (this.#output === 'jsonl') this.#say(lines.map(taskLineText).join(''));
    else this.#lines.push(...lines);
  }

  run(run: RunRecord): void {
    if (this.#output === 'jsonl') this.#say(runLineText(run));
    else if (this.#output === 'text') this.#say(runText(run, this.#lines));
    else {
      const shown = { run: { key: runKey(run), state: run.state }, tasks: this.#lines };
      this.#say(`${JSON.stringify(shown, null, 2)}\n`);
    }
    this.#lines = [];
  }

  #say(text: string): void {
    this.#io.stdout.write(inert(text));
  }
}
