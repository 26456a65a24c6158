/**
 * Readings of the device itself, shared by the heartbeat and the `host` source.
 *
 * Guarantees: never throws and never blocks the event loop on a disk; a reading that the platform
 * does not offer is null, never a made-up zero. Rates (CPU) are over the time since the previous
 * sample of the same sampler, so every consumer makes its own; the first sample has null rates.
 */
import { readdir, readFile, statfs } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, loadavg, totalmem } from 'node:os';
import type { Clock } from '@runnel/shared/clock.ts';
import type { HostReport } from '@runnel/shared/protocol/heartbeat.ts';

export interface HostSample extends HostReport {
  /** Bytes since boot over all interfaces but loopback; null where not offered. */
  readonly networkReceivedBytes: number | null;
  readonly networkSentBytes: number | null;
  /** Logical processors the agent may use. */
  readonly processors: number;
}

interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

export interface HostSamplerOptions {
  readonly clock: Clock;
  /** The file system whose fill level is reported: the data directory's. */
  readonly diskPath: string;
}

export class HostSampler {
  readonly #options: HostSamplerOptions;
  #cpu: CpuTimes | null = null;
  #own: { readonly cpuMs: number; readonly atMs: number } | null = null;
  /** Undefined until looked for; the sensor of a device does not change while it runs. */
  #thermalPath: string | null | undefined;

  constructor(options: HostSamplerOptions) {
    this.#options = options;
  }

  async sample(): Promise<HostSample> {
    const [cpu, disk, temperature, network] = await Promise.all([
      readCpuTimes(),
      readDisk(this.#options.diskPath),
      this.#readTemperature(),
      readNetwork(),
    ]);
    const memoryTotalBytes = totalmem();
    return {
      cpuPercent: this.#cpuPercent(cpu),
      memoryUsedBytes: memoryTotalBytes - freemem(),
      memoryTotalBytes,
      diskUsedBytes: disk?.used ?? null,
      diskTotalBytes: disk?.total ?? null,
      temperatureCelsius: temperature,
      load1: process.platform === 'win32' ? null : (loadavg()[0] ?? null),
      agentRssBytes: process.memoryUsage.rss(),
      agentCpuPercent: this.#ownCpuPercent(),
      networkReceivedBytes: network?.received ?? null,
      networkSentBytes: network?.sent ?? null,
      processors: availableParallelism(),
    };
  }

  #cpuPercent(current: CpuTimes | null): number | null {
    const previous = this.#cpu;
    this.#cpu = current;
    if (previous === null || current === null || current.total <= previous.total) return null;
    const share = (current.busy - previous.busy) / (current.total - previous.total);
    return percent(share);
  }

  /** Share of one processor; above 100 when worker threads are busy too. */
  #ownCpuPercent(): number | null {
    const usage = process.cpuUsage();
    const current = {
      cpuMs: (usage.user + usage.system) / 1000,
      atMs: this.#options.clock.monotonicMs(),
    };
    const previous = this.#own;
    this.#own = current;
    if (previous === null || current.atMs <= previous.atMs) return null;
    const share = (current.cpuMs - previous.cpuMs) / (current.atMs - previous.atMs);
    return Math.round(share * 1000) / 10;
  }

  async #readTemperature(): Promise<number | null> {
    if (this.#thermalPath === undefined) this.#thermalPath = await findThermalZone();
    if (this.#thermalPath === null) return null;
    const text = await readText(this.#thermalPath);
    const milli = text === null ? Number.NaN : Number.parseInt(text, 10);
    return Number.isFinite(milli) ? Math.round(milli / 100) / 10 : null;
  }
}

function percent(share: number): number {
  return Math.round(Math.min(Math.max(share, 0), 1) * 1000) / 10;
}

/** A file of /proc or /sys, or null where this platform does not have it. */
async function readText(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

async function readCpuTimes(): Promise<CpuTimes | null> {
  const stat = await readText('/proc/stat');
  if (stat !== null) return parseProcStat(stat);
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const active = times.user + times.nice + times.sys + times.irq;
    busy += active;
    total += active + times.idle;
  }
  return total > 0 ? { busy, total } : null;
}

/** First line of /proc/stat: user nice system idle iowait irq softirq steal (guest is in user). */
export function parseProcStat(text: string): CpuTimes | null {
  const line = text.slice(0, text.indexOf('\n'));
  const [name, ...numbers] = line.trim().split(/\s+/);
  if (name !== 'cpu' || numbers.length < 4) return null;
  const fields = numbers.slice(0, 8).map(Number);
  const total = fields.reduce((sum, value) => sum + value, 0);
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
  return Number.isFinite(total) ? { busy: total - idle, total } : null;
}

async function readDisk(path: string): Promise<{ used: number; total: number } | null> {
  // A platform without statfs, or a directory that is gone: there is no reading.
  const stat = await statfs(path).catch(() => null);
  if (stat === null || stat.blocks <= 0) return null;
  // `bavail` leaves out what is reserved for root: to an unprivileged agent that is not free.
  return { used: (stat.blocks - stat.bavail) * stat.bsize, total: stat.blocks * stat.bsize };
}

const THERMAL_DIR = '/sys/class/thermal';
const PROCESSOR_ZONE = /cpu|soc|pkg|core/i;

/** The zone of the processor when one says so, else the first; null without any. */
async function findThermalZone(): Promise<string | null> {
  // Containers and other platforms have none.
  const names = await readdir(THERMAL_DIR).catch(() => []);
  const zones = names.filter((name) => name.startsWith('thermal_zone')).toSorted();
  let first: string | null = null;
  for (const zone of zones) {
    const path = `${THERMAL_DIR}/${zone}/temp`;
    if ((await readText(path)) === null) continue;
    if (PROCESSOR_ZONE.test((await readText(`${THERMAL_DIR}/${zone}/type`)) ?? '')) return path;
    first ??= path;
  }
  return first;
}

async function readNetwork(): Promise<{ received: number; sent: number } | null> {
  const text = await readText('/proc/net/dev');
  return text === null ? null : parseProcNetDev(text);
}

/** `eth0: rx_bytes … (8 fields) tx_bytes …`; two header lines, loopback left out. */
export function parseProcNetDev(text: string): { received: number; sent: number } {
  let received = 0;
  let sent = 0;
  for (const line of text.split('\n').slice(2)) {
    const [name, rest] = line.split(':');
    if (name === undefined || rest === undefined || name.trim() === 'lo') continue;
    const fields = rest.trim().split(/\s+/).map(Number);
    received += fields[0] ?? 0;
    sent += fields[8] ?? 0;
  }
  return { received, sent };
}
