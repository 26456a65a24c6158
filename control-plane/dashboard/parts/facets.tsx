/** States with how many there are of each, as filters: one pressed, or none for all. */
import type { JSX } from 'preact';
import { formatCount } from '../format/amount.ts';
import type { Look } from './look.ts';
import { Mark } from './state-mark.tsx';

export interface FacetChoice<K extends string> {
  readonly key: K;
  readonly look: Look;
  readonly count: number;
}

export function Facets<K extends string>({
  label,
  facets,
  chosen,
  onChoose,
}: {
  label: string;
  facets: readonly FacetChoice<K>[];
  chosen: K | null;
  onChoose: (key: K | null) => void;
}): JSX.Element {
  return (
    <div class="facets" role="group" aria-label={label}>
      {facets.map(({ key, look, count }) => (
        <button
          type="button"
          class="facet"
          key={key}
          data-facet={key}
          data-none={count === 0}
          aria-pressed={key === chosen}
          onClick={() => onChoose(key === chosen ? null : key)}
        >
          <span class="facet-count">{formatCount(count)}</span>
          <span class="facet-word">
            <Mark shape={look.shape} tone={look.tone} />
            {look.word.toLowerCase()}
          </span>
        </button>
      ))}
    </div>
  );
}
