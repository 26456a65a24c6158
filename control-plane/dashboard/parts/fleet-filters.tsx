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
      <SearchBox
        text={filter.search}
        inputRef={searchRef}
        onText={(search) => onChange({ search })}
      />
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
      <OrderSelect sort={filter.sort} onSort={(sort) => onChange({ sort })} />
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

function SearchBox({
  text,
  inputRef,
  onText,
}: {
  text: string;
  inputRef: RefObject<HTMLInputElement>;
  onText: (text: string) => void;
}): JSX.Element {
  return (
    <label class="search">
      <span class="visually-hidden">Search devices</span>
      {icons.search}
      <input
        ref={inputRef}
        type="search"
        placeholder="Name, label, job, version"
        value={text}
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  );
}

function OrderSelect({ sort, onSort }: { sort: Sort; onSort: (sort: Sort) => void }): JSX.Element {
  return (
    <label class="select">
      <span class="visually-hidden">Order</span>
      <select
        value={sort}
        onChange={(event) => {
          const wanted = event.currentTarget.value;
          onSort(SORTS.find((name) => name === wanted) ?? 'attention');
        }}
      >
        {SORTS.map((name) => (
          <option key={name} value={name}>
            {SORT_WORDS[name]}
          </option>
        ))}
      </select>
    </label>
  );
}
