/**
 * Commands to devices in the audit log. Guarantee: who wanted what is on disk before a device is
 * asked, so that neither a device that stays silent nor a crash hides it; what became of it is a
 * row of its own, `<action>.outcome`. An intent without an outcome: the control plane ended before
 * there was one, and the device may have done it.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { Kysely } from 'kysely';
import { appendAudit } from '../store/audit.ts';
import type { Schema } from '../store/schema.ts';
import { type AgentAnswer, outcomeOf } from './run-control.ts';

export interface CommandAudit {
  /** Writes the intent; resolves when it is on disk. */
  readonly intend: (data: unknown) => Promise<void>;
  /** Writes what became of it on each agent. Without an intent there is none to write of. */
  readonly told: (answers: readonly CommandOutcome[]) => Promise<void>;
}

type CommandOutcome = Pick<AgentAnswer, 'agent' | 'status' | 'reason'>;

export function commandAudit(
  { db, clock }: { readonly db: Kysely<Schema>; readonly clock: Clock },
  entry: { readonly actor: string; readonly action: string; readonly subject: string },
): CommandAudit {
  let intent: number | undefined;
  return {
    async intend(data) {
      intent = await appendAudit(db, { ...entry, at: clock.now(), data });
    },
    async told(answers) {
      if (intent === undefined) return;
      await appendAudit(db, {
        ...entry,
        action: `${entry.action}.outcome`,
        at: clock.now(),
        data: {
          intent,
          agents: answers.map(({ agent, status, reason }) => ({ agent, status, reason })),
        },
      });
    },
  };
}

/** The outcome of a command that one device was asked. Throws what `ask` throws. */
export async function audited<T>(
  audit: CommandAudit,
  agent: string,
  data: unknown,
  ask: () => Promise<T>,
): Promise<T> {
  await audit.intend(data);
  try {
    const answer = await ask();
    await audit.told([{ agent, status: 'accepted', reason: null }]);
    return answer;
  } catch (error) {
    if (error instanceof RunnelError) {
      await audit.told([{ agent, status: outcomeOf(error), reason: error.message }]);
    }
    throw error;
  }
}
