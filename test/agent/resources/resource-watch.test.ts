import { beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '@runnel/shared/clock.ts';
import { epochMs } from '@runnel/shared/ids.ts';
import type { HostReport, JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import {
  HostSampler,
  parseProcNetDev,
  parseProcStat,
} from '@runnel/agent/resources/host-readings.ts';
import { readableLine } from '@runnel/agent/resources/log-stream.ts';
import { metricsText } from '@runnel/agent/resources/metrics-text.ts';
import { ResourceWatch } from '@runnel/agent/resources/resource-watch.ts';

const GiB = 1024 ** 3;
const press: JobReport = {
  name: 'press',
  version: 1,
  phase: 'running',
  attempted: null,
  watermark: null,
  lagRecords: 0,
  recordsIn: 10,
  recordsOut: 1,
  late: 0,
  deadLetters: 9,
  deadLettersBy: { 'keep: missing_key': 6, other: 2 },
  dropped: {},
  stateKeys: 0,
};
const host: HostReport = {
  cpuPercent: 10,
  memoryUsedBytes: 2 * GiB,
  memoryTotalBytes: 8 * GiB,
  diskUsedBytes: 10 * GiB,
  diskTotalBytes: 100 * GiB,
  temperatureCelsius: null,
  load1: 0.5,
  agentRssBytes: 60 * 1024 ** 2,
  agentCpuPercent: 1,
};

let wallMs: number;
let monotonicMs: number;
let clock: Clock;
let conditions: Conditions;
beforeEach(() => {
  wallMs = 1_000_000;
  monotonicMs = 0;
  clock = { ...systemClock, now: () => epochMs(wallMs), monotonicMs: () => monotonicMs };
  conditions = new Conditions(clock);
});
const watch = (memoryBytesMax: number | null = null) =>
  new ResourceWatch({ clock, conditions, memoryBytesMax });
const types = () => conditions.list().map(({ type, reason }) => `${type} ${reason}`);

describe('resource conditions', () => {
  it('come above one bound and go below a lower one', () => {
    const it = watch();
    it.check({ ...host, diskUsedBytes: 94 * GiB });
    expect(types()).toEqual([]);
    it.check({ ...host, diskUsedBytes: 96 * GiB });
    expect(types()).toEqual(['resources/disk DiskNearlyFull']);
    it.check({ ...host, diskUsedBytes: 94 * GiB });
    expect(types()).toEqual(['resources/disk DiskNearlyFull']);
    it.check({ ...host, diskUsedBytes: 90 * GiB });
    expect(types()).toEqual([]);
  });

  it('count the agent against the memory that policy grants', () => {
    watch(50 * 1024 ** 2).check(host);
    expect(types()).toEqual(['resources/memory MemoryBudget']);
  });

  it('tell of a clock that was set, and not of one that drifts', () => {
    const it = watch();
    for (let step = 0; step < 100; step++) {
      monotonicMs += 10_000;
      wallMs += 10_050;
      it.check(host);
    }
    expect(types()).toEqual([]);
    monotonicMs += 10_000;
    wallMs -= 3_600_000;
    it.check(host);
    expect(types()).toEqual(['resources/clock ClockStepped']);
    expect(conditions.list()[0]?.message).toMatch(/back by 36\d\d s/);
    monotonicMs += 4_000_000;
    wallMs += 4_000_000;
    it.check(host);
    expect(types()).toEqual([]);
  });
});

describe('host readings', () => {
  it('hold what this machine offers, and rates from the second sample on', async () => {
    const sampler = new HostSampler({ clock: systemClock, diskPath: '.' });
    const first = await sampler.sample();
    expect(first.cpuPercent).toBeNull();
    expect(first.memoryTotalBytes).toBeGreaterThan(first.memoryUsedBytes ?? 0);
    expect(first.agentRssBytes).toBeGreaterThan(1e6);
    let busy = 0;
    const until = performance.now() + 60;
    while (performance.now() < until) busy += 1;
    const second = await sampler.sample();
    expect(busy).toBeGreaterThan(0);
    expect(second.agentCpuPercent).toBeGreaterThan(0);
    expect(second.cpuPercent).toBeGreaterThanOrEqual(0);
    expect(second.cpuPercent).toBeLessThanOrEqual(100);
  });

  it('parse /proc, without loopback, and give null for what is not there', () => {
    expect(parseProcStat('cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1 2\n')).toEqual({
      busy: 20,
      total: 100,
    });
    expect(parseProcStat('nonsense\n')).toBeNull();
    const lines = [
      'a',
      'b',
      '  lo: 5 0 0 0 0 0 0 0 5',
      'eth0: 7 0 0 0 0 0 0 0 9 0',
      'eth1:1 0 0 0 0 0 0 0 1',
    ];
    expect(parseProcNetDev(lines.join('\n'))).toEqual({ received: 8, sent: 10 });
  });
});

describe('metrics', () => {
  it('stand together by name, with labels escaped', () => {
    const condition = {
      severity: 'error',
      reason: 'R',
      message: 'm',
      since: 0,
      axis: 'jobs',
    } as const;
    const text = metricsText({
      version: '1.0.0',
      startedAt: 5000,
      connected: true,
      state: {
        observedRevision: 3,
        observedHash: '',
        capabilities: [],
        conditions: [
          { ...condition, type: 'jobs/"a"' },
          { ...condition, type: 'jobs/b\\' },
        ],
        jobs: [press],
        sources: [],
        outbox: { rows: 1, bytes: 2, oldestAt: null, lost: 3 },
        counters: { blocksSent: 4, run_ms: 5 },
        host,
      },
    });
    expect(text).toContain('runnel_condition{type="jobs/\\"a\\"",severity="error",reason="R"} 1');
    expect(text).toContain('type="jobs/b\\\\"');
    expect(text.match(/# TYPE runnel_condition gauge/g)).toHaveLength(1);
    expect(text).toContain('runnel_agent_blocks_sent_total 4');
    expect(text).not.toContain('temperature');
    const letters = text.split('\n').filter((line) => line.startsWith('runnel_job_dead_letters'));
    expect(letters).toEqual([
      'runnel_job_dead_letters_total{job="press",step="keep",reason="missing_key"} 6',
      'runnel_job_dead_letters_total{job="press",step="",reason="other"} 2',
      'runnel_job_dead_letters_total{job="press"} 1',
    ]);
  });
});

describe('metrics of a batch job', () => {
  it('tell its runs by state, its times by reason, its dead letters, and no records', () => {
    const report: JobReport = {
      ...press,
      name: 'nightly',
      batch: {
        nextAt: 7000,
        activeRuns: 1,
        queuedRuns: 2,
        lastRun: { run: 'r', partition: 'p', state: 'failed', endedAt: 6500 },
        lastSuccessAt: null,
        skipped: { overlap: 3 },
        ended: { success: 4, failed: 5 },
      },
    };
    const lines = metricsText({
      version: '1.0.0',
      startedAt: 5000,
      connected: false,
      state: {
        observedRevision: 3,
        observedHash: '',
        capabilities: [],
        conditions: [],
        jobs: [report],
        sources: [],
        outbox: { rows: 0, bytes: 0, oldestAt: null, lost: 0 },
        counters: { batch_attempts: 6 },
        host,
      },
    }).split('\n');
    const told = lines.filter((line) => /^runnel_(batch|job|agent_batch)_/.test(line));
    expect(told).toEqual([
      'runnel_job_phase{job="nightly",phase="running"} 1',
      'runnel_batch_runs_active{job="nightly"} 1',
      'runnel_batch_runs_queued{job="nightly"} 2',
      'runnel_batch_runs_total{job="nightly",state="success"} 4',
      'runnel_batch_runs_total{job="nightly",state="failed"} 5',
      'runnel_batch_skipped_total{job="nightly",reason="overlap"} 3',
      'runnel_batch_next_time_seconds{job="nightly"} 7',
      'runnel_batch_last_end_time_seconds{job="nightly"} 6.5',
      'runnel_job_dead_letters_total{job="nightly",step="keep",reason="missing_key"} 6',
      'runnel_job_dead_letters_total{job="nightly",step="",reason="other"} 2',
      'runnel_job_dead_letters_total{job="nightly"} 1',
      'runnel_agent_batch_attempts_total 6',
    ]);
  });
});

it('a log line for a terminal shows level, message and fields on one line', () => {
  const line = readableLine('{"level":40,"time":0,"msg":"late","agent":"a","error":"x y","n":3}\n');
  expect(line).toMatch(/^\d\d:\d\d:\d\d WARN {2}late error=x y n=3\n$/);
});
