/** Verdicts of now with the compliance of a period, read again every so often. */
import type { SlaComplianceItem, SlaItem } from '../../http/sla-messages.ts';
import { type Loaded, useApp, useLoaded, useRefresh } from '../hooks.ts';
import type { Period } from './history-strip.ts';

export function useVerdicts(job: string | null): Loaded<readonly SlaItem[]> {
  const app = useApp();
  const items = useLoaded(`slas/${job ?? ''}`, () => app.api.slas.list({ job }));
  useRefresh(items);
  return items;
}

export interface Compliance {
  readonly items: readonly SlaComplianceItem[];
  /** Jobs of whose earliest time some is missing: it is more than one answer holds. */
  readonly cut: readonly string[];
}

/** Compliance over days does not change by the second. */
const COMPLIANCE_MS = 60_000;
/** It is asked for job by job. */
const AT_ONCE = 8;

/** Of these jobs, which whoever shows them keeps to those in sight. */
export function useCompliance(jobs: readonly string[], period: Period): Loaded<Compliance> {
  const app = useApp();
  const names = [...new Set(jobs)].sort();
  const compliance = useLoaded(`compliance/${period}/${names.join()}`, async () => {
    const items: SlaComplianceItem[] = [];
    const cut: string[] = [];
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const asked = names.slice(at, at + AT_ONCE);
      const answers = await Promise.all(
        asked.map(async (job) => ({ job, ...(await app.api.slas.compliance(job, period)) })),
      );
      items.push(...answers.flatMap((answer) => answer.items));
      cut.push(...answers.flatMap(({ job, truncated }) => (truncated ? [job] : [])));
    }
    return { items, cut };
  });
  useRefresh(compliance, COMPLIANCE_MS);
  return compliance;
}
