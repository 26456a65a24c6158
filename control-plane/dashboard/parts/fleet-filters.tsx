/** Search, labels, order. How many devices are left is said politely to screen readers. */
import type { JSX, RefObject } from 'preact';
import { useMemo } from 'preact/hooks';
import type { AgentItem } from '../../http/live-messages.ts';
import { type FleetFilter, labelCounts, type Sort, SORTS } from '../fleet/fleet-view.ts';
import { plural } from '../format/amount.ts';
import { icons } from './icons.tsx';

const SORT_WORDS: Readonly<Record<Sort, string>> = {
  attention: 'Worst first',
  name: 'Name',
  lastSeen: 'Longest silent',
  version: 'Oldest version',
};

export function FleetFilters({
  agents,
  filter,
  shown,
  searchRef,
  onChange,
}: {
  agents: ReadonlyMap<string, AgentItem>;
  filter: FleetFilter;
  shown: number;
  searchRef: RefObject<HTMLInputElement>;
  onChange: (part: Partial<FleetFilter>) => void;
}): JSX.Element {
  const labels = useMemo(() => labelCounts(agents.values()), [agents]);
  const free = labels.filter(([pair]) => !filter.labels.includes(pair));
  return (
    <div class="filters">
      <label class="search">
        <span class="visually-hidden">Search devices</span>
        {icons.search}
        <input
          ref={searchRef}
          type="search"
          placeholder="Name, label, job, version"
          value={filter.search}
          onInput={(event) => onChange({ search: event.currentTarget.value })}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <label class="select">
        <span class="visually-hidden">Filter by label</span>
        <select
          value=""
          onChange={(event) =>
            onChange({ labels: [...filter.labels, event.currentTarget.value].filter(Boolean) })
          }
        >
          <option value="">Label</option>
          {free.map(([pair, count]) => (
            <option key={pair} value={pair}>
              {pair} ({count})
            </option>
          ))}
        </select>
      </label>
      <label class="select">
        <span class="visually-hidden">Order</span>
        <select
          value={filter.sort}
          onChange={(event) => {
            const wanted = event.currentTarget.value;
            onChange({ sort: SORTS.find((sort) => sort === wanted) ?? 'attention' });
          }}
        >
          {SORTS.map((sort) => (
            <option key={sort} value={sort}>
              {SORT_WORDS[sort]}
            </option>
          ))}
        </select>
      </label>
      {filter.labels.map((pair) => (
        <button
          type="button"
          class="chip"
          key={pair}
          aria-label={`Remove the filter ${pair}`}
          onClick={() => onChange({ labels: filter.labels.filter((other) => other !== pair) })}
        >
          {pair}
          {icons.close}
        </button>
      ))}
      <span class="shown" role="status">
        {plural(shown, 'device')} shown
      </span>
    </div>
  );
}
