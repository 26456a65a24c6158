/** Promises in sight with what became of them over a period, which is asked for when they are. */
import type { JSX } from 'preact';
import { withCompliance } from '../slas/promises.ts';
import { type Compliance, useCompliance } from '../slas/use-promises.ts';
import { ErrorNote, Loading } from './panel.tsx';
import { SlaTable, type SlaTableProps } from './sla-table.tsx';

const NOTHING_KNOWN: Compliance = { items: [], cut: [] };

export function PromiseTable({ rows, period, ofJob = false }: SlaTableProps): JSX.Element {
  const compliance = useCompliance(
    rows.map(({ job }) => job),
    period,
  );
  if (compliance.status === 'loading') return <Loading what="what became of them" />;
  const { items, cut } = compliance.status === 'ready' ? compliance.value : NOTHING_KNOWN;
  return (
    <>
      {compliance.status === 'failed' ? (
        <ErrorNote error={compliance.error} retry={compliance.reload} />
      ) : null}
      <SlaTable rows={withCompliance(rows, items)} period={period} ofJob={ofJob} />
      {cut.length === 0 ? null : (
        <p class="cut-note">
          {ofJob ? 'Its verdicts' : `The verdicts of ${cut.join(', ')}`} changed more often than one
          answer holds: of the earliest time some is missing in what is counted. A shorter period
          counts all of it.
        </p>
      )}
    </>
  );
}
