/**
 * Watches what the device has left and raises the conditions `resources/memory`,
 * `resources/disk` and `resources/clock`.
 *
 * Guarantees: a condition is raised above one bound and cleared below a lower one, so that a value
 * at the bound does not flicker; a step of the wall clock is noticed within one interval, by
 * comparing it with the monotonic clock, and told for an hour. Judging is pure; `check` reads.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { HostReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { Conditions } from './conditions.ts';

export interface ResourceWatchOptions {
  readonly clock: Clock;
  readonly conditions: Conditions;
  /** Bytes of resident memory that policy.yaml grants, or null. */
  readonly memoryBytesMax: number | null;
}

interface Bound {
  readonly raise: number;
  readonly clear: number;
}

const DISK_SHARE: Bound = { raise: 0.95, clear: 0.93 };
const MEMORY_SHARE: Bound = { raise: 0.95, clear: 0.92 };
const BUDGET_SHARE: Bound = { raise: 1, clear: 0.95 };
const CLOCK_STEP_MS_MIN = 2000;
const CLOCK_TOLD_MS = 3_600_000;

export class ResourceWatch {
  readonly #options: ResourceWatchOptions;
  readonly #raised = new Set<string>();
  /** Wall clock minus monotonic clock: constant unless somebody sets the clock. */
  #clockBaseMs: number;
  #steppedAtMs: number | null = null;

  constructor(options: ResourceWatchOptions) {
    this.#options = options;
    this.#clockBaseMs = options.clock.now() - options.clock.monotonicMs();
  }

  check(host: HostReport): void {
    this.#checkMemory(host);
    const { diskUsedBytes, diskTotalBytes } = host;
    if (diskUsedBytes !== null && diskTotalBytes !== null && diskTotalBytes > 0) {
      const share = diskUsedBytes / diskTotalBytes;
      this.#judge('resources/disk', share, DISK_SHARE, 'DiskNearlyFull', () => {
        return `the data directory's file system is ${Math.round(share * 100)} % full`;
      });
    }
    this.#checkClock();
  }

  #checkMemory(host: HostReport): void {
    const { memoryBytesMax } = this.#options;
    if (memoryBytesMax !== null) {
      const share = host.agentRssBytes / memoryBytesMax;
      this.#judge('resources/memory', share, BUDGET_SHARE, 'MemoryBudget', () => {
        return `the agent uses ${mib(host.agentRssBytes)} of the ${mib(memoryBytesMax)} it may`;
      });
      return;
    }
    const { memoryUsedBytes, memoryTotalBytes } = host;
    if (memoryUsedBytes === null || memoryTotalBytes === null || memoryTotalBytes <= 0) return;
    const share = memoryUsedBytes / memoryTotalBytes;
    this.#judge('resources/memory', share, MEMORY_SHARE, 'MemoryNearlyFull', () => {
      return `${Math.round(share * 100)} % of the device's memory is in use`;
    });
  }

  #judge(type: string, share: number, bound: Bound, reason: string, say: () => string): void {
    const { conditions } = this.#options;
    if (share >= bound.raise || (this.#raised.has(type) && share >= bound.clear)) {
      this.#raised.add(type);
      conditions.set({ type, axis: 'resources', severity: 'warning', reason, message: say() });
    } else if (this.#raised.delete(type)) {
      conditions.clear(type);
    }
  }

  #checkClock(): void {
    const { clock, conditions } = this.#options;
    const type = 'resources/clock';
    const monotonicMs = clock.monotonicMs();
    const baseMs = clock.now() - monotonicMs;
    const stepMs = baseMs - this.#clockBaseMs;
    // The base follows: slow drift that NTP slews never adds up to a step.
    this.#clockBaseMs = baseMs;
    if (Math.abs(stepMs) >= CLOCK_STEP_MS_MIN) {
      this.#steppedAtMs = monotonicMs;
      const way = stepMs > 0 ? 'forward' : 'back';
      conditions.set({
        type,
        axis: 'resources',
        severity: 'info',
        reason: 'ClockStepped',
        message: `the device's clock was set ${way} by ${Math.round(Math.abs(stepMs) / 1000)} s`,
      });
    } else if (this.#steppedAtMs !== null && monotonicMs - this.#steppedAtMs > CLOCK_TOLD_MS) {
      this.#steppedAtMs = null;
      conditions.clear(type);
    }
  }
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}
