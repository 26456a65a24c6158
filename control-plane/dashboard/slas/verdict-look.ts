/** How verdicts look. *Unreachable* has a shape of its own: it is not late, nobody can say. */
import type { SlaVerdict } from '../../http/sla-messages.ts';
import type { Look } from '../parts/look.ts';

const LOOKS: Readonly<Record<SlaVerdict, Look>> = {
  breached: { shape: 'square', tone: 'error', word: 'Breached' },
  atRisk: { shape: 'triangle', tone: 'warning', word: 'At risk' },
  unreachable: { shape: 'dashed', tone: 'quiet', word: 'Unreachable' },
  met: { shape: 'disc', tone: 'ok', word: 'Met' },
};

/** Worst first, as lists and filters show them. */
export const VERDICTS: readonly SlaVerdict[] = ['breached', 'atRisk', 'unreachable', 'met'];

export function verdictLook(verdict: SlaVerdict): Look {
  return LOOKS[verdict];
}
