/**
 * I1 under strace: every PUBACK write follows the sync of its commit. SIGKILL alone cannot see a
 * missing fsync, because the kernel keeps what a killed process wrote.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bins } from '../support/processes.ts';
import { describeWith, requireProgram } from '../support/programs.ts';
import { tempDir } from '../support/temp-dir.ts';
import { Publisher } from './crash/publisher.ts';
import { Site } from './crash/site.ts';
import { crashJob, makeWorkload } from './crash/workload.ts';
import { type Verdict, judgePubacks } from './strace/puback-order.ts';
import { parseSyscalls } from './strace/syscalls.ts';

const CALLS = [
  'read,readv,recvfrom,recvmsg',
  'write,writev,sendto,sendmsg',
  'pwrite64,pwritev,pwritev2,msync,fsync,fdatasync',
].join(',');

/** Runs a site whose agent is traced, and judges the trace. */
async function traced(broker: 'mosquitto' | 'embedded'): Promise<Verdict> {
  const dir = tempDir('fsync');
  const trace = join(dir, 'trace');
  // `-D`: the process that is started is the agent itself, so that signals reach it.
  const flags = ['-D', '-f', '-ttt', '-T', '-xx', '-yy', '-s', '1000000', '-e', `trace=${CALLS}`];
  const site = await Site.start({
    dir,
    broker,
    agentCommand: [requireProgram('strace'), ...flags, '-o', trace, process.execPath, bins.agent],
  });
  const publisher = new Publisher(site.brokerPort);
  try {
    const workload = makeWorkload(5, 600, Date.now());
    const url = broker === 'mosquitto' ? `mqtt://127.0.0.1:${site.brokerPort}` : undefined;
    await site.apply(crashJob(url));
    await site.running('crash');
    await site.connected();
    await publisher.publish(workload.messages, 200);
  } finally {
    await publisher.end();
    await site.stop();
  }
  const version = broker === 'mosquitto' ? 5 : 4;
  return judgePubacks(parseSyscalls(readFileSync(trace, 'utf8')), site.brokerPort, version);
}

describeWith(['mosquitto', 'strace'], 'a PUBACK', () => {
  it('to mosquitto follows the sync of its commit', async () => {
    const verdict = await traced('mosquitto');
    expect(verdict.early).toEqual([]);
    expect(verdict.acknowledged).toBeGreaterThanOrEqual(500);
  }, 120_000);

  it('of the embedded broker follows the sync of its commit', async () => {
    const verdict = await traced('embedded');
    expect(verdict.early).toEqual([]);
    expect(verdict.acknowledged).toBeGreaterThanOrEqual(500);
  }, 120_000);
});
