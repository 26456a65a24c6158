/**
 * What a run measured: the shape of the one JSON line (`v` changes when it does), and the table
 * for people. Times are seconds, latencies milliseconds, shares of processors percent of one core.
 */
import type { ApiLatency, Latency } from './api-probe.ts';
import type { AuditFindings } from './audit.ts';
import type { Reached } from './milestone.ts';
import type { SimulateOptions } from './options.ts';
import type { MachineUsage } from './usage.ts';
import type { WorkerCounters } from './worker-messages.ts';

export const PHASES = ['enrol', 'connect', 'push', 'steady', 'update', 'storm', 'drain'] as const;
export type PhaseName = (typeof PHASES)[number];

export interface Phase {
  readonly seconds: number;
  /** When how much of the fleet was there; null where a phase has no such end. */
  readonly reached: Reached | null;
  readonly usage: MachineUsage;
  readonly api: ApiLatency;
}

export interface Report {
  readonly v: 1;
  readonly options: Omit<SimulateOptions, 'json' | 'keep' | 'profile'>;
  readonly machine: { readonly cores: number; readonly node: string };
  readonly phases: Readonly<Record<PhaseName, Phase>>;
  readonly results: {
    /** Rows that came into the store while the fleet was at rest. */
    readonly perSecond: number;
    readonly counters: WorkerCounters;
  };
  readonly audit: AuditFindings;
  /** Every phase that has an end for the whole fleet reached it, and nothing was left to send. */
  readonly converged: boolean;
}

const WHAT: Readonly<Record<PhaseName, string>> = {
  enrol: 'enrol',
  connect: 'connect, desired state asked',
  push: 'first job reported running',
  steady: 'steady state',
  update: 'new version reported running',
  storm: 'back after SIGKILL of nats-server',
  drain: 'last results stored',
};

const one = (value: number | null): string => (value === null ? '–' : value.toFixed(1));
const whole = (value: number | null): string => (value === null ? '–' : value.toFixed(0));

export function tableOf(report: Report): string {
  const { options, phases, results, audit } = report;
  const head = ['', '50 %', '99 %', '100 %', 'control plane', 'nats-server', 'simul.', 'others'];
  const rows = PHASES.map((name) => phaseCells(name, phases[name]));
  const latency = PHASES.map((name) => latencyCells(name, phases[name].api)).filter((cells) =>
    cells.slice(1).some((cell) => cell !== '–'),
  );
  const { counters } = results;
  return [
    `${options.agents} agents in ${options.workers} processes, a heartbeat every ` +
      `${options.heartbeat} s, ${report.machine.cores} cores, Node ${report.machine.node}`,
    '',
    ...aligned([head, ...rows]),
    'seconds; % of one core and most MiB resident',
    '',
    ...aligned([
      ['ms, p50 / p99', 'GET agents?limit=100', 'GET jobs', 'edit to websocket'],
      ...latency,
    ]),
    '',
    `enrolled ${one(options.agents / phases.enrol.seconds)} a second, ` +
      `${one(results.perSecond)} results a second at rest`,
    `${counters.connects} connections, ${counters.cuts} cut, ${counters.restarts} restarts, ` +
      `${counters.sentTwice} blocks came twice, ${counters.lostAnswers} answers got lost`,
    `audit: ${audit.ok ? 'every row once' : 'FAILED'}: ${audit.sent} sent, ` +
      `${audit.stored} stored, ${audit.missing} missing, ${audit.twice} twice, ` +
      `${audit.altered} altered, ${audit.foreign} that nobody sent`,
    ...(report.converged ? [] : ['NOT CONVERGED: some agents did not get there in time']),
    '',
  ].join('\n');
}

function phaseCells(name: PhaseName, { seconds, reached, usage }: Phase): string[] {
  const times =
    reached === null ? ['–', '–', one(seconds)] : [reached.p50, reached.p99, reached.all].map(one);
  const used = ({ cpuPercent, rssMiB }: MachineUsage['control']): string =>
    `${whole(cpuPercent)} % ${whole(rssMiB)}`;
  const { control, nats, simulator, othersCpuPercent } = usage;
  return [
    WHAT[name],
    ...times,
    used(control),
    used(nats),
    `${whole(simulator.cpuPercent)} %`,
    `${whole(othersCpuPercent)} %`,
  ];
}

function latencyCells(name: PhaseName, { agents, jobs, live }: ApiLatency): string[] {
  const of = ({ p50, p99, count, failed }: Latency): string => {
    if (count + failed === 0) return '–';
    return `${whole(p50)} / ${whole(p99)}${failed === 0 ? '' : ` (${failed} failed)`}`;
  };
  return [name, of(agents), of(jobs), of(live)];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!),
      )
      .join('  '),
  );
}
