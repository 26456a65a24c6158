/**
 * A process to be killed: it commits a stream of numbered records and prints, when they are on
 * disk, how many are acknowledged. Its origin is endless: record n has the value n.
 */
import { pino } from 'pino';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { AgentRuntime } from '@runnel/agent/streams/agent-runtime.ts';
import { compileCount, desired } from './counting-job.ts';
import { ScriptedSource } from './scripted-source.ts';

class PrintingSource extends ScriptedSource {
  override committed(count: number): void {
    super.committed(count);
    process.stdout.write(`${this.acknowledged}\n`);
    const from = this.origin.length;
    this.give(...Array.from({ length: count }, (_, at) => ({ payload: { v: from + at } })));
  }
}

const [dataDir = '', verifyEntry = ''] = process.argv.slice(2);
const runtime = await AgentRuntime.open({
  dataDir,
  clock: systemClock,
  random: systemRandom,
  log: pino({ level: 'silent' }),
  agent: 'agent1',
  conditions: new Conditions(systemClock),
  createSource: ({ id }) => {
    const source = new PrintingSource(id);
    source.give(...Array.from({ length: 100_000 }, (_, v) => ({ payload: { v } })));
    return source;
  },
  createSink: () => {
    throw new Error('no sinks here');
  },
  verifyEntry,
  compile: compileCount,
  budgets: { gather: { recordsMax: 200, bytesMax: 1e6 } },
});
await runtime.applyJobs([desired('a')]);
