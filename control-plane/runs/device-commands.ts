/**
 * Commands to devices and their answers (shared/protocol/runs.ts). Core NATS down and a request up:
 * neither is stored anywhere, so a device that is not connected cannot be commanded.
 *
 * Guarantees: a command counts at most once on its device, however often it is sent, since its
 * random id stays the same; an answer counts only from the device that was asked, and only while
 * somebody waits for it (else it is counted: `late` or `foreign`).
 *
 * ```
 * 0 ───────── 5 s ───────── 10 s
 * send        send again    give up: device_unreachable; the device may still do it
 * ```
 */
import type { ConnectionState } from '@runnel/shared/health/device-health.ts';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { type AgentId, randomId } from '@runnel/shared/ids.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { BatchCommand, BatchOutcome, CommandAnswer } from '@runnel/shared/protocol/runs.ts';
import { subjects } from '@runnel/shared/protocol/subjects.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Random } from '@runnel/shared/random.ts';

const RESEND_MS = 5000;
const TIMEOUT_MS = 10_000;

type WithoutHead<T> = T extends unknown ? Omit<T, 'v' | 'id'> : never;
/** A command before it has an id. */
export type BatchRequest = WithoutHead<BatchCommand>;

export interface DeviceCommandsParts {
  readonly clock: Clock;
  readonly random: Random;
  /** False while NATS is disconnected. */
  readonly publish: (subject: string, text: string) => boolean;
  /** What is known of the device's connection. */
  readonly connection: (agent: string) => {
    readonly connection: ConnectionState;
    readonly lastSeenAt: number | null;
  };
}

interface Waiting {
  readonly agent: string;
  readonly resolve: (outcome: BatchOutcome) => void;
  readonly reject: (error: unknown) => void;
  cancelTimer: () => void;
}

export class DeviceCommands {
  /** `late`: nobody waits for it any more. `foreign`: another device was asked. */
  readonly counters = { sent: 0, resent: 0, answered: 0, timeouts: 0, late: 0, foreign: 0 };
  readonly #parts: DeviceCommandsParts;
  readonly #waiting = new Map<string, Waiting>();

  constructor(parts: DeviceCommandsParts) {
    this.#parts = parts;
  }

  /**
   * Errors: `device_unreachable` (with `outcome` `unreachable`: it was never asked; `timeout` and
   * `unanswered`: it was, and may still do it), `device_refused` (the device's own reason),
   * `commands_busy`.
   */
  async ask(agent: string, request: BatchRequest): Promise<BatchOutcome> {
    this.#refuseUnconnected(agent);
    if (this.#waiting.size >= limits.commandsWaitingMax) {
      throw new RunnelError('commands_busy', 'too many commands wait for their answers', {
        retry: 'backoff',
      });
    }
    const id = randomId(this.#parts.random);
    const command = JSON.stringify({ v: PROTOCOL_VERSION, id, ...request });
    return await new Promise<BatchOutcome>((resolve, reject) => {
      const waiting: Waiting = { agent, resolve, reject, cancelTimer: () => undefined };
      this.#waiting.set(id, waiting);
      this.counters.sent += 1;
      if (!this.#send(agent, command)) {
        this.#settle(id);
        reject(unreachable(agent, 'the control plane has lost its NATS connection'));
        return;
      }
      waiting.cancelTimer = this.#parts.clock.after(RESEND_MS, () => {
        this.#again(id, waiting, command);
      });
    });
  }

  /** Takes an answer whose sender was checked; never throws for what it says. */
  answered(answer: CommandAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) {
      this.counters.late += 1;
      return;
    }
    if (waiting.agent !== answer.agent) {
      this.counters.foreign += 1;
      return;
    }
    this.#settle(answer.id);
    this.counters.answered += 1;
    const { outcome, error } = answer;
    if (outcome !== null && error === null) waiting.resolve(outcome);
    else waiting.reject(refused(error));
  }

  /** Nobody is asked any more; who waits is told. */
  close(): void {
    for (const [id, { agent, reject }] of this.#waiting) {
      this.#settle(id);
      reject(unreachable(agent, 'the control plane ends', { outcome: 'unanswered' }));
    }
  }

  #send(agent: string, command: string): boolean {
    return this.#parts.publish(subjects.command(agent as AgentId, 'batch'), command);
  }

  #again(id: string, waiting: Waiting, command: string): void {
    this.counters.resent += 1;
    // A connection that was lost meanwhile may be back before the time is up.
    this.#send(waiting.agent, command);
    waiting.cancelTimer = this.#parts.clock.after(TIMEOUT_MS - RESEND_MS, () => {
      this.#settle(id);
      this.counters.timeouts += 1;
      const seconds = TIMEOUT_MS / 1000;
      const why = `no answer in ${seconds} s; it may still do it`;
      waiting.reject(unreachable(waiting.agent, why, { outcome: 'timeout' }));
    });
  }

  #settle(id: string): void {
    this.#waiting.get(id)?.cancelTimer();
    this.#waiting.delete(id);
  }

  #refuseUnconnected(agent: string): void {
    const { connection, lastSeenAt } = this.#parts.connection(agent);
    if (connection === 'never') throw unreachable(agent, 'it never connected');
    if (connection !== 'offline') return;
    const since = lastSeenAt === null ? '' : ` since ${new Date(lastSeenAt).toISOString()}`;
    throw unreachable(agent, `not connected${since}`, { since: lastSeenAt });
  }
}

interface Unreachable {
  readonly outcome?: 'unreachable' | 'timeout' | 'unanswered';
  readonly since?: number | null;
}

function unreachable(
  agent: string,
  why: string,
  { outcome = 'unreachable', since = null }: Unreachable = {},
): RunnelError {
  return new RunnelError('device_unreachable', `the device ${agent} cannot be reached: ${why}`, {
    retry: 'backoff',
    fields: { agent, since, why, outcome },
    hint:
      outcome === 'unreachable'
        ? 'its schedules go on without us; ask again when it is connected'
        : 'it was asked and may still do it: look at its runs before you ask again',
  });
}

function refused(error: CommandAnswer['error']): RunnelError {
  const { code, message } = error ?? { code: 'answer_empty', message: 'it gave no outcome' };
  return new RunnelError('device_refused', message, { fields: { code } });
}
