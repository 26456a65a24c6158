/** A process that runs the version of a job which kills it with the first record. */
import { pino } from 'pino';
import { systemClock } from '@runnel/shared/clock.ts';
import { systemRandom } from '@runnel/shared/random.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { AgentRuntime } from '@runnel/agent/streams/agent-runtime.ts';
import { compileCount, desired } from './counting-job.ts';
import { ScriptedSource } from './scripted-source.ts';

const [dataDir = '', verifyEntry = ''] = process.argv.slice(2);
const runtime = await AgentRuntime.open({
  dataDir,
  clock: systemClock,
  random: systemRandom,
  log: pino({ level: 'silent' }),
  agent: 'agent1',
  conditions: new Conditions(systemClock),
  createSource: ({ id }) => {
    const source = new ScriptedSource(id);
    source.give({ payload: { v: 1 } }, { payload: { v: 2 } });
    return source;
  },
  createSink: () => {
    throw new Error('no sinks here');
  },
  verifyEntry,
  compile: compileCount,
});
await runtime.applyJobs([desired('a', 2, { broken: 'process' })]);
