/**
 * The NATS side of the control plane: what agents send comes in here and nowhere else.
 *
 * Guarantees: a message counts only for the agent whose subject it came on (the server's
 * permissions vouch for the subject), so a body that names another agent is dropped and counted;
 * an agent that is not approved (any more) is refused, also while NATS still lets it connect;
 * an answer goes only to the asking agent's own inbox, because NATS permissions do not cover reply
 * subjects; results are answered after the commit that decided on them; one broken message harms
 * no other. Replicas share requests through a queue group; heartbeats go to each of them.
 */
import type { Kysely } from 'kysely';
import type { Logger } from 'pino';
import type { z } from 'zod';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError, messageOf } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import {
  type DesiredReply,
  type DesiredRequest,
  desiredRequest,
} from '@runnel/shared/protocol/desired.ts';
import { type RenewReply, natsRenewRequest } from '@runnel/shared/protocol/enrolment.ts';
import { heartbeat } from '@runnel/shared/protocol/heartbeat.ts';
import {
  type ErrorReply,
  type MarkReply,
  type ResultBlock,
  resultBlock,
} from '@runnel/shared/protocol/results.ts';
import { type CommandAnswer, commandAnswer } from '@runnel/shared/protocol/runs.ts';
import {
  type RequestKind,
  agentOf,
  isOwnReply,
  subjects,
} from '@runnel/shared/protocol/subjects.ts';
import { PROTOCOL_VERSION, parseMessage } from '@runnel/shared/protocol/version.ts';
import type { LinkMessage, NatsLink } from '../nats/nats-link.ts';
import type { Schema } from '../store/schema.ts';
import { type Applied, type ApplyBlock, applyBlock } from './apply-block.ts';
import { BlockWriter } from './block-writer.ts';
import type { FleetHealth } from './fleet-health.ts';
import { IntakeCounters } from './intake-counters.ts';
import { readBody } from './read-body.ts';

const QUEUE = 'control-plane';

export interface IntakeOptions {
  readonly db: Kysely<Schema>;
  readonly link: NatsLink;
  readonly clock: Clock;
  readonly log: Logger;
  readonly health: FleetHealth;
  /** False for agents that wait, were revoked or are not known: nothing of theirs is taken. */
  readonly isApproved: (agent: string) => boolean;
  /** Answers `cp.<agent>.desired`. */
  readonly desired: (request: DesiredRequest) => Promise<DesiredReply>;
  /** Answers `cp.<agent>.renew`. */
  readonly renew: (agent: string) => Promise<RenewReply>;
  /** Takes `cp.<agent>.answer`. */
  readonly answered?: (answer: CommandAnswer) => void;
  /** After the commit: rows that are new in the store, in their order in the lane. */
  readonly stored?: (block: ResultBlock, applied: Applied) => void;
  /** How a block changes the store; another one only in tests that plant a bug. */
  readonly apply?: ApplyBlock;
}

export class Intake {
  readonly counters = new IntakeCounters();
  readonly writer: BlockWriter;
  readonly #options: IntakeOptions;
  readonly #unsubscribe: (() => void)[] = [];

  /** Listens at once; `link` reconnects by itself. */
  static start(options: IntakeOptions): Intake {
    const intake = new Intake(options);
    intake.#listen();
    return intake;
  }

  private constructor(options: IntakeOptions) {
    this.#options = options;
    const { db, clock, apply } = options;
    this.writer = new BlockWriter({ db, clock, apply: apply ?? applyBlock });
  }

  /** Tells an agent that there is a newer desired state; best effort. */
  notifyChanged(agent: string, revision: number): boolean {
    const command = JSON.stringify({ v: PROTOCOL_VERSION, revision });
    return this.#options.link.publish(subjects.command(agent as AgentId, 'changed'), command);
  }

  /** Takes no more, and waits for what is being stored. */
  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.writer.settled();
  }

  #listen(): void {
    const { link, health } = this.#options;
    health.setConnected(link.connected);
    this.#unsubscribe.push(
      link.onStatus(({ kind }) => health.setConnected(kind === 'connected')),
      link.handle(subjects.allHeartbeats, (message) => this.#heartbeat(message)),
      this.#serve('results', (agent, message) => this.#results(agent, message)),
      this.#serve('desired', (agent, message) => this.#desired(agent, message)),
      this.#serve('renew', (agent, message) => this.#renew(agent, message)),
      this.#serve('state', (agent, message) => this.#state(agent, message)),
      // Every replica hears answers: only the one that asked knows the command.
      this.#serve('answer', (agent, message) => this.#answer(agent, message), null),
    );
  }

  /** Checks sender and reply subject, answers, and turns errors into answers. */
  #serve(
    kind: RequestKind,
    answer: (agent: AgentId, message: LinkMessage) => Promise<unknown>,
    queue: string | null = QUEUE,
  ): () => void {
    const { link, log } = this.#options;
    return link.handle(
      subjects.allRequests(kind),
      async (message) => {
        const agent = agentOf(message.subject);
        if (agent === undefined || !isOwnReply(agent, message.reply)) {
          this.counters.dropped(agent === undefined ? 'subject' : 'foreign_reply');
          log.warn({ subject: message.subject, reply: message.reply }, 'a request was dropped');
          return;
        }
        this.counters.request(kind);
        try {
          link.publish(message.reply, JSON.stringify(await answer(agent, message)));
        } catch (error) {
          this.#refuse(kind, agent, message.reply, error);
        }
      },
      queue ?? undefined,
    );
  }

  #refuse(kind: RequestKind, agent: AgentId, reply: string, error: unknown): void {
    const { link, log } = this.#options;
    const code = error instanceof RunnelError ? error.code : 'internal';
    this.counters.dropped(code);
    log.warn({ kind, agent, error: messageOf(error) }, 'a request of an agent failed');
    // A message for somebody else's name gets no answer at all.
    if (code === 'agent_mismatch') return;
    // Errors that are not ours could hold anything; their text stays in the log.
    const message = error instanceof RunnelError ? error.message : 'an internal error';
    const body: ErrorReply = { v: PROTOCOL_VERSION, error: { code, message } };
    link.publish(reply, JSON.stringify(body));
  }

  async #results(agent: AgentId, message: LinkMessage): Promise<MarkReply> {
    const { value, bytes } = await this.#read(agent, resultBlock, message);
    checkBlock(value);
    const applied = await this.writer.write(value, bytes);
    this.counters.block(value, applied);
    const refused = applied.runs?.refused ?? 0;
    if (refused > 0) this.#options.log.warn({ agent, refused }, 'reports of runs did not parse');
    if (applied.rows.length > 0) this.#options.stored?.(value, applied);
    const { epoch, lane } = value;
    return { v: PROTOCOL_VERSION, epoch, lane, mark: applied.mark };
  }

  async #desired(agent: AgentId, message: LinkMessage): Promise<DesiredReply> {
    const { value } = await this.#read(agent, desiredRequest, message);
    return await this.#options.desired(value);
  }

  async #renew(agent: AgentId, message: LinkMessage): Promise<RenewReply> {
    await this.#read(agent, natsRenewRequest, message);
    return await this.#options.renew(agent);
  }

  async #state(agent: AgentId, message: LinkMessage): Promise<{ readonly v: 1 }> {
    const { value } = await this.#read(agent, heartbeat, message);
    this.#options.health.heard(value);
    return { v: PROTOCOL_VERSION };
  }

  async #answer(agent: AgentId, message: LinkMessage): Promise<{ readonly v: 1 }> {
    const { value } = await this.#read(agent, commandAnswer, message);
    this.#options.answered?.(value);
    return { v: PROTOCOL_VERSION };
  }

  async #heartbeat(message: LinkMessage): Promise<void> {
    const agent = agentOf(message.subject);
    try {
      if (agent === undefined) throw new RunnelError('subject', message.subject);
      const { value } = await this.#read(agent, heartbeat, message);
      this.#options.health.heard(value);
    } catch (error) {
      this.counters.dropped(error instanceof RunnelError ? error.code : 'internal');
      this.#options.log.warn({ agent, error: messageOf(error) }, 'a heartbeat was dropped');
    }
  }

  async #read<T extends z.ZodType<{ agent: string }>>(
    agent: AgentId,
    schema: T,
    message: LinkMessage,
  ): Promise<{ readonly value: z.output<T>; readonly bytes: number }> {
    const { value: raw, bytes } = await readBody(message.data);
    const value = parseMessage(schema, raw);
    if (value.agent !== agent) throw mismatch(agent);
    if (this.#options.isApproved(agent)) return { value, bytes };
    throw new RunnelError('agent_not_approved', `${agent} is not approved`);
  }
}

function mismatch(agent: AgentId): RunnelError {
  return new RunnelError('agent_mismatch', `${agent} sent a message in the name of another`);
}

const EPOCH = /^[A-Za-z0-9_-]{1,64}$/;

/** Error `block_invalid`: what no agent of ours sends, and what would break the lane's count. */
function checkBlock(block: ResultBlock): void {
  let before = block.after;
  const rowsInOrder = block.rows.every(({ seq }) => {
    const inOrder = seq > before && seq <= block.last;
    before = seq;
    return inOrder;
  });
  if (rowsInOrder && block.last >= block.after && EPOCH.test(block.epoch)) return;
  throw new RunnelError(
    'block_invalid',
    `rows must ascend within (${block.after}, ${block.last}] of an epoch that is a plain word`,
  );
}
