/** What is promised of one job, and whether it is kept. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Period } from '../slas/history-strip.ts';
import { promiseRows } from '../slas/promises.ts';
import { useVerdicts } from '../slas/use-promises.ts';
import { EmptyNote, ErrorNote, Loading, Panel } from './panel.tsx';
import { PeriodSelect } from './period-select.tsx';
import { PromiseTable } from './promise-table.tsx';

export function JobSlas({ job }: { job: string }): JSX.Element {
  const [period, setPeriod] = useState<Period>('7d');
  const loaded = useVerdicts(job);
  const rows = loaded.status === 'ready' ? promiseRows(loaded.value) : [];
  return (
    <Panel title="SLAs" actions={<PeriodSelect period={period} onPeriod={setPeriod} />}>
      {loaded.status === 'loading' ? <Loading what="SLAs" /> : null}
      {loaded.status === 'failed' ? <ErrorNote error={loaded.error} retry={loaded.reload} /> : null}
      {loaded.status === 'ready' && rows.length === 0 ? (
        <EmptyNote>
          Nothing is promised of this job. A promise is a line of <code>sla:</code> in its document,
          such as <code>{'{ name: fresh, freshness: 2m }'}</code>.
        </EmptyNote>
      ) : null}
      {rows.length === 0 ? null : <PromiseTable rows={rows} period={period} ofJob />}
    </Panel>
  );
}
