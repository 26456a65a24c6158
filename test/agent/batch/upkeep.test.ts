/** What an agent that was killed leaves behind, and what is counted of it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { metricsText } from '@runnel/agent/resources/metrics-text.ts';
import type { AgentState } from '@runnel/agent/sync/heartbeat.ts';
import { MARK } from '@runnel/agent/batch/io/group-search.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { desiredJob, openBatchSite } from './batch-site.ts';

it('programs of an earlier agent are ended and counted, and the counters are metrics', async () => {
  const dataDir = tempDir('upkeep');
  const scratch = join(dataDir, 'batch', 'scratch', 'attempt');
  mkdirSync(scratch, { recursive: true });
  const env = { ...process.env, [MARK]: 'mark' };
  const orphan = spawn('/bin/sleep', ['600'], { detached: true, stdio: 'ignore', env });
  onTestFinished(() => void orphan.kill('SIGKILL'));
  const ended = once(orphan, 'exit');
  const record = { v: 1, mark: 'mark', pgid: null, startTicks: null, boot: bootId() };
  writeFileSync(join(scratch, 'command-group.json'), JSON.stringify(record));
  const site = await openBatchSite({ dataDir });
  await site.runtime.applyJobs([desiredJob('job', 'tasks: [{ id: t, value: { value: 1 } }]')]);
  await ended;
  await waitFor('the count', () => site.runtime.counters()['batch_orphans_ended'] === 1);
  const counters = site.runtime.counters();
  const state = { counters, conditions: [], jobs: [], sources: [], host: {}, outbox: {} };
  const page = metricsText({
    state: state as unknown as AgentState,
    version: '1',
    startedAt: 0,
    connected: false,
  });
  for (const name of [
    'batch_orphans_ended_total 1',
    'batch_breaker_refusals_total 0',
    'batch_log_lines_dropped_total 0',
    'batch_runs_expired_total 0',
    'batch_runs_trimmed_total 0',
    'batch_partitions_forgotten_total 0',
    'batch_answers_forgotten_total 0',
  ]) {
    expect(page).toContain(`runnel_agent_${name}`);
  }
});

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
