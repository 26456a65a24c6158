/** Search, selector, health, order. How many devices are left is said to screen readers. */
import { HEALTH_AXES, type HealthAxis } from '@runnel/shared/health/device-health.ts';
import type { JSX, RefObject } from 'preact';
import { useMemo } from 'preact/hooks';
import type { AgentItem } from '../../http/live-messages.ts';
import { readSelector, withTerm } from '../fleet/fleet-selector.ts';
import { type FleetFilter, labelCounts, type Sort, SORTS } from '../fleet/fleet-view.ts';
import { plural } from '../format/amount.ts';
import { icons } from './icons.tsx';
import { Mark } from './state-mark.tsx';

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
  const read = useMemo(() => readSelector(filter.selector), [filter.selector]);
  const problem = 'problem' in read ? read.problem : null;
  return (
    <>
      <div class="filters">
        <SearchBox
          text={filter.search}
          inputRef={searchRef}
          onText={(search) => onChange({ search })}
        />
        <SelectorBox
          text={filter.selector}
          wrong={problem !== null}
          onText={(selector) => onChange({ selector })}
        />
        <LabelSelect
          agents={agents}
          onLabel={(pair) => onChange({ selector: withTerm(filter.selector, pair) })}
        />
        <AxisSelect axis={filter.axis} onAxis={(axis) => onChange({ axis })} />
        <OrderSelect sort={filter.sort} onSort={(sort) => onChange({ sort })} />
        <span class="shown" role="status">
          {plural(shown, 'device')} shown
        </span>
      </div>
      {problem === null ? null : (
        <p class="filter-problem" id="selector-problem" role="status">
          <Mark shape="triangle" tone="warning" />
          <span>
            <strong>Devices are not chosen by it:</strong> {problem}
          </span>
        </p>
      )}
    </>
  );
}

function SelectorBox({
  text,
  wrong,
  onText,
}: {
  text: string;
  wrong: boolean;
  onText: (text: string) => void;
}): JSX.Element {
  return (
    <label class="selector-box">
      <span class="visually-hidden">Selector over labels</span>
      <input
        type="search"
        class="mono"
        placeholder="site=lyon, arch in (arm64)"
        spellcheck={false}
        autocomplete="off"
        maxLength={SELECTOR_CHARS_MAX}
        value={text}
        aria-invalid={wrong}
        aria-describedby={wrong ? 'selector-problem' : undefined}
        onInput={(event) => onText(event.currentTarget.value)}
      />
    </label>
  );
}

/** As long as an address can carry it with the rest. */
const SELECTOR_CHARS_MAX = 2048;

/** Labels that devices have, each a term of the selector once it is chosen. */
function LabelSelect({
  agents,
  onLabel,
}: {
  agents: ReadonlyMap<string, AgentItem>;
  onLabel: (pair: string) => void;
}): JSX.Element {
  const labels = useMemo(() => labelCounts(agents.values()), [agents]);
  return (
    <label class="select">
      <span class="visually-hidden">Add a label to the selector</span>
      <select
        value=""
        onChange={(event) => {
          const pair = event.currentTarget.value;
          event.currentTarget.value = '';
          if (pair !== '') onLabel(pair);
        }}
      >
        <option value="">Label</option>
        {labels.map(([pair, count]) => (
          <option key={pair} value={pair}>
            {pair} ({count})
          </option>
        ))}
      </select>
    </label>
  );
}

function AxisSelect({
  axis,
  onAxis,
}: {
  axis: HealthAxis | null;
  onAxis: (axis: HealthAxis | null) => void;
}): JSX.Element {
  return (
    <label class="select">
      <span class="visually-hidden">Health</span>
      <select
        value={axis ?? ''}
        onChange={(event) => {
          const wanted = event.currentTarget.value;
          onAxis(HEALTH_AXES.find((name) => name === wanted) ?? null);
        }}
      >
        <option value="">Any health</option>
        {HEALTH_AXES.map((name) => (
          <option key={name} value={name}>
            {name} not well
          </option>
        ))}
      </select>
    </label>
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
        maxLength={200}
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
