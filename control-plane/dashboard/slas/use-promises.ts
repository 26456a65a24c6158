/** Verdicts of now with the compliance of a period, read again every so often. */
import type { SlaComplianceItem, SlaItem } from '../../http/sla-messages.ts';
import { type Loaded, useApp, useLoaded, useRefresh } from '../hooks.ts';
import type { Period } from './history-strip.ts';

export interface Promises {
  readonly items: readonly SlaItem[];
  readonly compliance: readonly SlaComplianceItem[];
}

/** Compliance is asked for job by job: of more than these it is shown on each job's own page. */
const JOBS_MAX = 40;
/** Compliance over days does not change by the second. */
const COMPLIANCE_MS = 60_000;

/** Of one job, or of all. */
export function usePromises(job: string | null, period: Period): Loaded<Promises> {
  const app = useApp();
  const items = useLoaded(`slas/${job ?? ''}`, () => app.api.slas.list({ job }));
  useRefresh(items);
  const jobs = items.status === 'ready' ? jobsOf(items.value) : [];
  const compliance = useLoaded(`compliance/${period}/${jobs.join()}`, async () => {
    const pages = await Promise.all(jobs.map((name) => app.api.slas.compliance(name, period)));
    return pages.flat();
  });
  useRefresh(compliance, COMPLIANCE_MS);
  if (items.status !== 'ready') return items;
  if (compliance.status !== 'ready') return compliance;
  const reload = (): void => {
    items.reload();
    compliance.reload();
  };
  const value = { items: items.value, compliance: compliance.value };
  return { status: 'ready', value, reload };
}

function jobsOf(items: readonly SlaItem[]): string[] {
  return [...new Set(items.map(({ job }) => job))].sort().slice(0, JOBS_MAX);
}
