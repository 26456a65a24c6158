/** Every promise of the fleet: kept or not, how often, and what is left of its error budget. */
import type { JSX } from 'preact';
import type { SlaVerdict } from '../../http/sla-messages.ts';
import { formatCount } from '../format/amount.ts';
import { useObservable } from '../hooks.ts';
import { address, replaceQuery } from '../navigation.ts';
import { Facets } from '../parts/facets.tsx';
import { EmptyNote, ErrorNote, Loading } from '../parts/panel.tsx';
import { PeriodSelect } from '../parts/period-select.tsx';
import { PromiseTable } from '../parts/promise-table.tsx';
import { type Period, readPeriod } from '../slas/history-strip.ts';
import { pageOf, promiseRows, type PromiseRow, ROWS_A_PAGE } from '../slas/promises.ts';
import { useVerdicts } from '../slas/use-promises.ts';
import { VERDICTS, verdictLook } from '../slas/verdict-look.ts';

interface View {
  readonly verdict: SlaVerdict | null;
  readonly period: Period;
  /** From 1. */
  readonly page: number;
}

function readView(query: string): View {
  const params = new URLSearchParams(query);
  const verdict = VERDICTS.find((each) => each === params.get('verdict')) ?? null;
  const period = readPeriod(params.get('over'));
  return { verdict, period, page: Number(params.get('page') ?? 1) };
}

function writeView({ verdict, period, page }: View): string {
  const params = new URLSearchParams({
    ...(verdict === null ? {} : { verdict }),
    ...(period === '7d' ? {} : { over: period }),
    ...(page === 1 ? {} : { page: String(page) }),
  });
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

export function SlasPage(): JSX.Element {
  const { query } = useObservable(address);
  const view = readView(query);
  const loaded = useVerdicts(null);
  const change = (part: Partial<View>): void => replaceQuery(writeView({ ...view, ...part }));
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>SLAs</h1>
          <p class="lede">What is promised of jobs, and whether it is kept</p>
        </div>
      </header>
      {loaded.status === 'loading' ? <Loading what="SLAs" /> : null}
      {loaded.status === 'failed' ? <ErrorNote error={loaded.error} retry={loaded.reload} /> : null}
      {loaded.status === 'ready' ? (
        <Promises rows={promiseRows(loaded.value)} view={view} onChange={change} />
      ) : null}
    </div>
  );
}

interface RowsInView {
  readonly rows: readonly PromiseRow[];
  readonly view: View;
  readonly onChange: (part: Partial<View>) => void;
}

function Promises({ rows, view, onChange }: RowsInView): JSX.Element {
  const { verdict, period } = view;
  if (rows.length === 0) {
    return (
      <EmptyNote>
        No job promises anything yet. A promise is a line of <code>sla:</code> in a job’s document,
        such as <code>{'{ name: fresh, freshness: 2m }'}</code>.
      </EmptyNote>
    );
  }
  const shown = rows.filter(({ counts }) => verdict === null || counts[verdict] > 0);
  const total = (of: SlaVerdict): number => rows.reduce((sum, row) => sum + row.counts[of], 0);
  return (
    <>
      <Facets
        label="Filter by verdict"
        chosen={verdict}
        onChoose={(next) => onChange({ verdict: next, page: 1 })}
        facets={VERDICTS.map((each) => ({
          key: each,
          look: verdictLook(each),
          count: total(each),
        }))}
      />
      <div class="filters">
        <PeriodSelect period={period} onPeriod={(next) => onChange({ period: next })} />
        <span class="shown" role="status">
          {formatCount(shown.length)} of {formatCount(rows.length)} promises
        </span>
      </div>
      {shown.length === 0 ? (
        <EmptyNote>
          No promise stands so.{' '}
          <button type="button" class="link" onClick={() => onChange({ verdict: null, page: 1 })}>
            Show all
          </button>
        </EmptyNote>
      ) : (
        <Paged rows={shown} view={view} onChange={onChange} />
      )}
    </>
  );
}

/** Worst first; a page of them at a time, since what became of each is asked for. */
function Paged({ rows, view, onChange }: RowsInView): JSX.Element {
  const { rows: inSight, page, pages } = pageOf(rows, view.page);
  const first = (page - 1) * ROWS_A_PAGE + 1;
  return (
    <>
      <PromiseTable rows={inSight} period={view.period} />
      {pages === 1 ? null : (
        <nav class="pager" aria-label="Pages of promises">
          <button
            type="button"
            class="button small"
            disabled={page === 1}
            onClick={() => onChange({ page: page - 1 })}
          >
            Previous
          </button>
          <span role="status">
            {formatCount(first)} to {formatCount(first + inSight.length - 1)} of{' '}
            {formatCount(rows.length)}, worst first
          </span>
          <button
            type="button"
            class="button small"
            disabled={page === pages}
            onClick={() => onChange({ page: page + 1 })}
          >
            Next
          </button>
        </nav>
      )}
    </>
  );
}
