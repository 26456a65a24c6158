/**
 * Promises with what became of them: the verdict of now, compliance and what is left of the error
 * budget over a period. Time in which a device could not be heard stands apart: it was not late.
 */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { SlaComplianceItem } from '../../http/sla-messages.ts';
import { formatCount } from '../format/amount.ts';
import { formatDuration } from '../format/time.ts';
import { paths } from '../router.ts';
import type { Period } from '../slas/history-strip.ts';
import { budgetOf, formatShare, type PromiseRow } from '../slas/promises.ts';
import { VERDICTS, verdictLook } from '../slas/verdict-look.ts';
import { icons } from './icons.tsx';
import { Since } from './relative-time.tsx';
import { SlaDevices } from './sla-devices.tsx';
import { Mark, Worded } from './state-mark.tsx';

const COLUMNS = 6;

export interface SlaTableProps {
  readonly rows: readonly PromiseRow[];
  readonly period: Period;
  /** On the page of their job, which need not be said. */
  readonly ofJob?: boolean;
}

export function SlaTable({ rows, period, ofJob = false }: SlaTableProps): JSX.Element {
  return (
    <div class="table-wrap">
      <table class="table sla-table">
        <thead>
          <tr>
            <th scope="col">Promise</th>
            <th scope="col">Now</th>
            <th scope="col">Compliance</th>
            <th scope="col">Error budget</th>
            <th scope="col">Breached</th>
            <th scope="col">Unreachable</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.key} row={row} period={period} ofJob={ofJob} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({
  row,
  period,
  ofJob,
}: {
  row: PromiseRow;
  period: Period;
  ofJob: boolean;
}): JSX.Element {
  const [open, setOpen] = useState(false);
  const { compliance } = row;
  return (
    <>
      <tr data-sla={row.key}>
        <th scope="row">
          <div class="sla-name">
            <button
              type="button"
              class="disclose"
              aria-expanded={open}
              aria-label={`Devices and history of ${row.key}`}
              onClick={() => setOpen(!open)}
            >
              {icons.chevron}
            </button>
            <span>
              {ofJob ? null : (
                <>
                  <a href={paths.job(row.job, 'slas')}>{row.job}</a>{' '}
                </>
              )}
              {row.sla}
              <span class="sub">
                {kindWord(row.kind)} {row.target}
              </span>
            </span>
          </div>
        </th>
        <td data-label="Now">
          <Now row={row} />
        </td>
        <td data-label="Compliance">{complianceWords(compliance)}</td>
        <td data-label="Error budget">
          <BudgetBar compliance={compliance} />
        </td>
        <td data-label="Breached">{breachWords(compliance)}</td>
        <td data-label="Unreachable">
          {compliance === null || compliance.unreachableMs === 0 ? (
            <span class="quiet">never</span>
          ) : (
            formatDuration(compliance.unreachableMs)
          )}
        </td>
      </tr>
      {open ? (
        <tr class="disclosed">
          <td colSpan={COLUMNS}>
            <SlaDevices row={row} period={period} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

const KIND_WORDS: Readonly<Record<PromiseRow['kind'], string>> = {
  freshness: 'fresh within',
  deadline: 'done by',
  duration: 'takes at most',
  successRate: 'succeeds',
  completeness: 'complete',
  deliveryLag: 'delivered within',
};

function kindWord(kind: PromiseRow['kind']): string {
  return KIND_WORDS[kind];
}

function Now({ row }: { row: PromiseRow }): JSX.Element {
  const others = VERDICTS.filter((verdict) => verdict !== row.worst && row.counts[verdict] > 0);
  return (
    <div class={`sla-now verdict-${row.worst}`}>
      <span class="sla-verdict">
        <Worded look={verdictLook(row.worst)} />
        {row.devices.length > 1 ? (
          <span class="quiet">
            on {formatCount(row.counts[row.worst])} of {formatCount(row.devices.length)}
          </span>
        ) : null}
        <span class="quiet">
          <Since at={row.since} />
        </span>
      </span>
      {row.worst === 'met' ? null : <span class="sub">{row.cause}</span>}
      {others.length === 0 || row.devices.length < 2 ? null : (
        <span class="sla-others">
          {others.map((verdict) => (
            <span class="state" key={verdict}>
              <Mark {...verdictLook(verdict)} />
              {formatCount(row.counts[verdict])} {verdictLook(verdict).word.toLowerCase()}
            </span>
          ))}
        </span>
      )}
    </div>
  );
}

function complianceWords(compliance: SlaComplianceItem | null): JSX.Element {
  if (compliance === null || compliance.compliance === null) {
    return <span class="quiet">nothing known</span>;
  }
  return (
    <span>
      <strong class={compliance.compliance < compliance.objective ? 'wrong' : undefined}>
        {formatShare(compliance.compliance)}
      </strong>
      <span class="sub">of {formatShare(compliance.objective)}</span>
    </span>
  );
}

function breachWords(compliance: SlaComplianceItem | null): JSX.Element {
  if (compliance === null || compliance.breaches === 0) return <span class="quiet">never</span>;
  return (
    <span>
      {compliance.breaches === 1 ? 'once' : `${formatCount(compliance.breaches)} times`}
      <span class="sub">{formatDuration(compliance.breachedMs)}</span>
    </span>
  );
}

function BudgetBar({ compliance }: { compliance: SlaComplianceItem | null }): JSX.Element {
  const budget = budgetOf(compliance);
  if (budget === null) return <span class="quiet">–</span>;
  return (
    <div class="budget">
      <div class={budget.overspent ? 'budget-bar overspent' : 'budget-bar'} aria-hidden="true">
        <span style={{ width: `${budget.left * 100}%` }} />
      </div>
      <span class={budget.overspent ? 'wrong' : undefined}>{budget.text}</span>
    </div>
  );
}
