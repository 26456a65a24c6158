/**
 * The thin shell of sync-state.ts: performs effects, feeds back what became of them.
 *
 * Guarantees: one event is handled at a time; an outcome that belongs to an earlier connection is
 * dropped; the traffic of a connection (heartbeats, results) has ended before the next one starts;
 * an accepted desired state is on disk before it is applied, and documents are applied in order.
 * Nothing in here can stop a job: the engine runs whether this is connected or not (I4).
 */
import type { Logger } from 'pino';
import type { Clock } from '@runnel/shared/clock.ts';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import {
  changedCommand,
  type DesiredDocument,
  desiredReply,
} from '@runnel/shared/protocol/desired.ts';
import { renewReply } from '@runnel/shared/protocol/enrolment.ts';
import { parseMessage, PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Random } from '@runnel/shared/random.ts';
import type { BatchCommand, BatchOutcome } from '@runnel/shared/protocol/runs.ts';
import type { Conditions } from '../resources/conditions.ts';
import type { CredentialStore } from './credential-store.ts';
import type { DesiredStore } from './desired.ts';
import type { DeviceKey } from './device-key.ts';
import type { HeartbeatLoop } from './heartbeat.ts';
import type { PostJson } from './http-json.ts';
import type { Connector, Link } from './link.ts';
import { showLink } from './link-condition.ts';
import { renewOverHttp } from './renewal.ts';
import type { ResultsSender } from './results-sender.ts';
import {
  type Effect,
  initialState,
  type SyncEvent,
  type SyncState,
  type Timer,
  transition,
} from './sync-state.ts';
import { desiredTrouble, linkTrouble, renewTrouble } from './troubles.ts';

export interface SyncOptions {
  readonly agent: AgentId;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly key: DeviceKey;
  readonly connect: Connector;
  readonly post: PostJson;
  readonly credentials: Pick<CredentialStore, 'current' | 'required' | 'accept'>;
  readonly desired: Pick<DesiredStore, 'revision' | 'hash' | 'accept'>;
  readonly heartbeat: HeartbeatLoop;
  readonly sender: ResultsSender;
  /** Brings the running jobs to the document; a throw is reported and changes nothing here. */
  readonly apply: (document: DesiredDocument) => Promise<void>;
  /** Throws a `RunnelError` whose code and message are the answer's. */
  readonly batchCommand: (command: BatchCommand) => Promise<BatchOutcome>;
}

const ANSWER_MS_MAX = 10_000;
const STOP_MS_MAX = 3000;
const DENIED = 'connection/denied';

export class SyncLoop {
  readonly #options: SyncOptions;
  #state: SyncState;
  readonly #timers = new Map<Timer, () => void>();
  #link: Link | null = null;
  #traffic: Promise<unknown> = Promise.resolve();
  #applying: Promise<void> = Promise.resolve();
  readonly #tasks = new Set<Promise<void>>();
  #abort = new AbortController();

  constructor(options: SyncOptions) {
    this.#options = options;
    this.#state = initialState(options.credentials.current, options.desired.revision);
  }

  get state(): SyncState {
    return this.#state;
  }

  /** Where it is connected to, or null. */
  get server(): string | null {
    return this.#link?.server ?? null;
  }

  start(): void {
    this.#abort = new AbortController();
    this.#dispatch({ kind: 'start' });
  }

  /** Ends the link; rows that are not acknowledged stay in the outbox. */
  async stop(): Promise<void> {
    this.#dispatch({ kind: 'stop' });
    this.#abort.abort(new RunnelError('stopped', 'the agent stops'));
    const deadline = new AbortController();
    const all = Promise.all([...this.#tasks, this.#traffic, this.#applying]);
    // It rejects when everything ended in time.
    const timeUp = this.#options.clock.sleep(STOP_MS_MAX, deadline.signal).catch(() => undefined);
    await Promise.race([all, timeUp]);
    deadline.abort();
  }

  #dispatch(event: SyncEvent): void {
    const before = this.#state;
    const { state, effects } = transition(before, event, this.#options.clock.now());
    this.#state = state;
    if (state.kind !== before.kind) {
      const trouble = 'trouble' in state ? state.trouble?.message : undefined;
      this.#options.log.debug(
        { from: before.kind, to: state.kind, event: event.kind, trouble },
        'sync',
      );
    }
    showLink(this.#options.conditions, state);
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'connect':
        this.#run(() => this.#connect());
        break;
      case 'disconnect':
        this.#disconnect();
        break;
      case 'renewOverHttp':
        this.#run(() => this.#renewOverHttp());
        break;
      case 'renewOverNats':
        this.#run(() => this.#renewOverNats());
        break;
      case 'askDesired':
        this.#run(() => this.#askDesired(effect.revision, effect.told));
        break;
      case 'timer':
        this.#setTimer(effect.timer, this.#draw(effect.range));
        break;
      case 'cancelTimers':
        for (const cancel of this.#timers.values()) cancel();
        this.#timers.clear();
        break;
    }
  }

  #draw({ minMs, maxMs }: { minMs: number; maxMs: number }): number {
    return minMs + this.#options.random.next() * (maxMs - minMs);
  }

  #setTimer(timer: Timer, delayMs: number): void {
    this.#timers.get(timer)?.();
    const cancel = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      this.#dispatch({ kind: `${timer}Due` });
    });
    this.#timers.set(timer, cancel);
  }

  /** Effects dispatch their own outcome; what escapes them is a bug of ours and is shown as one. */
  #run(task: () => Promise<void>): void {
    const running = task()
      .catch((error: unknown) => this.#options.log.error({ err: error }, 'sync task failed'))
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  async #connect(): Promise<void> {
    const { agent, clock, credentials, connect, key } = this.#options;
    // The last connection's lanes must be out of the outbox before new ones go in.
    await this.#traffic;
    let link: Link;
    try {
      link = await connect({
        agent,
        clock,
        key,
        credentials: credentials.required(),
        onCommand: (name, body) => this.#command(name, body),
        onDenied: (message) => this.#denied(message),
      });
    } catch (error) {
      this.#dispatch({ kind: 'connectFailed', trouble: linkTrouble(error) });
      return;
    }
    this.#link = link;
    this.#options.conditions.clear(DENIED);
    void link.closed.then((trouble) => this.#lost(link, trouble));
    this.#dispatch({ kind: 'connected' });
    if (this.#link !== link) return;
    this.#options.log.info({ server: link.server }, 'connected');
    this.#options.heartbeat.start(link);
    this.#options.sender.start(link);
  }

  #lost(link: Link, trouble: Parameters<typeof linkTrouble>[0]): void {
    if (this.#link !== link) return;
    this.#link = null;
    this.#endTraffic();
    const why = linkTrouble(trouble);
    this.#options.log.info({ trouble: why.kind, message: why.message }, 'disconnected');
    this.#dispatch({ kind: 'disconnected', trouble: why });
  }

  #disconnect(): void {
    const link = this.#link;
    this.#link = null;
    if (link === null) return;
    const closing = link.close().catch((error: unknown) => {
      this.#options.log.debug({ error: messageOf(error) }, 'closing the link');
    });
    this.#endTraffic(closing);
  }

  #endTraffic(after: Promise<void> = Promise.resolve()): void {
    const { heartbeat, log, sender } = this.#options;
    this.#traffic = after
      .then(() => Promise.all([heartbeat.stop(), sender.stop()]))
      .catch((error: unknown) => log.error({ err: error }, 'traffic did not end cleanly'));
  }

  #denied(message: string): void {
    this.#options.log.error({ error: message }, 'the NATS server denied a subject');
    this.#options.conditions.set({
      type: DENIED,
      axis: 'security',
      severity: 'error',
      reason: 'PermissionDenied',
      message: `${message}; the credentials of this agent do not fit its id`.slice(0, 2000),
    });
  }

  #command(name: string, body: Uint8Array): void {
    if (name === 'batch') {
      const link = this.#link;
      const { agent, batchCommand: perform, log } = this.#options;
      if (link === null) return;
      this.#run(async () => {
        // An agent that is asked for no runs does not carry what they are made of.
        const { answerBatchCommand } = await import('./batch-answer.ts');
        await answerBatchCommand({ agent, log, link, perform }, body);
      });
      return;
    }
    if (name !== 'changed') {
      this.#options.log.warn({ command: name }, 'a command that this release does not know');
      return;
    }
    try {
      const command = parseMessage(changedCommand, JSON.parse(Buffer.from(body).toString('utf8')));
      this.#dispatch({ kind: 'told', revision: command.revision });
    } catch (error) {
      this.#options.log.warn(
        { command: name, error: messageOf(error) },
        'a command not understood',
      );
    }
  }

  async #renewOverHttp(): Promise<void> {
    const { agent, credentials, key, post } = this.#options;
    try {
      const reply = await renewOverHttp(post, agent, key, this.#abort.signal);
      await credentials.accept(reply);
      this.#dispatch({ kind: 'renewed', life: reply.credentials });
    } catch (error) {
      this.#dispatch({ kind: 'renewFailed', trouble: renewTrouble(error) });
    }
  }

  async #renewOverNats(): Promise<void> {
    const link = this.#link;
    if (link === null) return;
    const { agent, credentials } = this.#options;
    try {
      const body = encode({ v: PROTOCOL_VERSION, agent });
      const reply = parseMessage(renewReply, await link.request('renew', body, ANSWER_MS_MAX));
      await credentials.accept(reply);
      if (this.#link === link) this.#dispatch({ kind: 'renewed', life: reply.credentials });
    } catch (error) {
      this.#options.log.warn({ error: messageOf(error) }, 'credentials were not renewed');
      if (this.#link === link)
        this.#dispatch({ kind: 'renewFailed', trouble: renewTrouble(error) });
    }
  }

  async #askDesired(revision: number, told: number): Promise<void> {
    const link = this.#link;
    if (link === null) return;
    const event = await this.#fetchDesired(link, revision, told);
    if (this.#link === link) this.#dispatch(event);
  }

  async #fetchDesired(link: Link, revision: number, told: number): Promise<SyncEvent> {
    const { agent, desired, log } = this.#options;
    try {
      const body = encode({ v: PROTOCOL_VERSION, agent, hash: desired.hash, revision, told });
      const reply = parseMessage(desiredReply, await link.request('desired', body, ANSWER_MS_MAX));
      if (reply.status === 'same') return { kind: 'desiredSame' };
      if (reply.status === 'retry') return { kind: 'desiredBehind' };
      const document = await desired.accept(reply.desired);
      log.info(
        { revision: document.revision, jobs: document.jobs.length },
        'desired state accepted',
      );
      this.apply(document);
      return { kind: 'desiredAccepted', revision: document.revision };
    } catch (error) {
      const trouble = desiredTrouble(error);
      log.warn({ trouble: trouble.kind, error: trouble.message }, 'desired state was not taken');
      return trouble.kind === 'document'
        ? { kind: 'desiredRefused', trouble }
        : { kind: 'desiredFailed', trouble };
    }
  }

  /** In order, and never overlapping: the next document waits until this one is in place. */
  apply(document: DesiredDocument): void {
    this.#applying = this.#applying
      .then(() => this.#options.apply(document))
      .catch((error: unknown) => {
        this.#options.log.error({ err: error }, 'desired state could not be applied');
      });
  }
}

function encode(message: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(message), 'utf8');
}
