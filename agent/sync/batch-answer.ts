/**
 * A command for batch jobs, from the control plane and back: `fleet.<agent>.cmd.batch` carries it,
 * the answer goes as a request on `cp.<agent>.answer` with its id.
 *
 * A command that cannot be read has no id to answer with: it is logged. An answer that is lost is
 * asked for again by the same command, whose id makes it count once.
 */
import type { Logger } from 'pino';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import {
  type BatchCommand,
  batchCommand,
  type BatchOutcome,
  type CommandAnswer,
} from '@runnel/shared/protocol/runs.ts';
import { parseMessage, PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';
import type { Link } from './link.ts';

export interface BatchAnswerOptions {
  readonly agent: AgentId;
  readonly log: Logger;
  readonly link: Link;
  readonly perform: (command: BatchCommand) => Promise<BatchOutcome>;
}

const ANSWER_MS_MAX = 10_000;

/** Never rejects. */
export async function answerBatchCommand(
  { agent, log, link, perform }: BatchAnswerOptions,
  body: Uint8Array,
): Promise<void> {
  try {
    const text = Buffer.from(body).toString('utf8');
    const command = parseMessage(batchCommand, JSON.parse(text));
    const done = await outcomeOf(perform, command);
    if (done === undefined) return;
    const answer: CommandAnswer = { v: PROTOCOL_VERSION, agent, id: command.id, ...done };
    const message = Buffer.from(JSON.stringify(answer), 'utf8');
    await link.request('answer', message, ANSWER_MS_MAX);
    log.info({ command: command.action, id: command.id, error: done.error?.code }, 'command');
  } catch (error) {
    log.warn({ command: 'batch', error: messageOf(error) }, 'a command was not answered');
  }
}

/** Undefined while the agent stops: the command may come again to the next process. */
async function outcomeOf(
  perform: BatchAnswerOptions['perform'],
  command: BatchCommand,
): Promise<Pick<CommandAnswer, 'error' | 'outcome'> | undefined> {
  try {
    return { outcome: await perform(command), error: null };
  } catch (thrown) {
    const code = thrown instanceof RunnelError ? thrown.code : 'command_failed';
    if (code === 'agent_closing') return undefined;
    return { outcome: null, error: { code, message: messageOf(thrown).slice(0, 4000) } };
  }
}
