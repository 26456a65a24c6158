/** An agent's core on a temporary directory, with scripted sources and hand-written jobs. */
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Lane, Row } from '@runnel/shared/protocol/results.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { AgentRuntime, type AgentRuntimeOptions } from '@runnel/agent/streams/agent-runtime.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { verifyEntry } from '../checkpoints/verify-entry.ts';
import { compileCount } from './counting-job.ts';
import { ScriptedSource } from './scripted-source.ts';

export const log = pino({ level: 'silent' });

export interface Site {
  readonly dataDir: string;
  readonly runtime: AgentRuntime;
  readonly conditions: Conditions;
  readonly sources: Map<string, ScriptedSource>;
  source(id?: string): ScriptedSource;
  /** Everything given has been committed and acknowledged. */
  settled(): Promise<void>;
  /** Takes all rows out of a lane, acknowledging them. */
  take(lane?: Lane): Promise<(Row & { epoch: string })[]>;
  /** A process that died: nothing is closed in order, the lock stays. */
  close(): Promise<void>;
}

export interface SiteOptions extends Partial<AgentRuntimeOptions> {
  /** Records that a source of this id has from the start. */
  readonly prepare?: (source: ScriptedSource) => void;
}

export async function openSite(options: SiteOptions = {}): Promise<Site> {
  const dataDir = options.dataDir ?? tempDir('site');
  const conditions = options.conditions ?? new Conditions(options.clock ?? systemClock);
  const sources = new Map<string, ScriptedSource>();
  const { prepare, ...given } = options;
  const runtime = await AgentRuntime.open({
    dataDir,
    clock: systemClock,
    random: systemRandom,
    log,
    agent: 'agent1',
    conditions,
    createSource: ({ id }) => {
      const source = new ScriptedSource(id);
      prepare?.(source);
      sources.set(id, source);
      return source;
    },
    createSink: () => {
      throw new RunnelError('no_sink', 'this site has no local sinks');
    },
    verifyEntry: await verifyEntry(),
    compile: compileCount,
    ...given,
  });
  onTestFinished(() => runtime.close());
  const source = (id = 'scripted'): ScriptedSource => {
    const found = sources.get(id);
    if (found === undefined) throw new Error(`no source ${id}`);
    return found;
  };
  return {
    dataDir,
    runtime,
    conditions,
    sources,
    source,
    async settled() {
      await waitFor('every record to be acknowledged', () =>
        [...sources.values()].every((each) => each.acknowledged === each.origin.length),
      );
    },
    async take(lane = 'results') {
      const rows: (Row & { epoch: string })[] = [];
      for (;;) {
        const block = runtime.outbox.next(lane);
        if (block === undefined) return rows;
        rows.push(...block.rows.map((row) => ({ ...row, epoch: block.epoch })));
        await runtime.outbox.acknowledge(block.epoch, lane, block.last);
      }
    },
    close: () => runtime.close(),
  };
}
