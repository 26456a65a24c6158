/** The fleet in one line: a bar in proportion, and the counts, which are filters too. */
import type { JSX } from 'preact';
import type { ConnectionState } from '../../http/live-messages.ts';
import type { Facet, FleetCounts } from '../fleet/fleet-view.ts';
import { formatCount } from '../format/amount.ts';
import { connectionLook, Mark, type Shape, type Tone } from './state-mark.tsx';

const SEGMENTS = ['offline', 'late', 'pending', 'never', 'online'] as const;

interface Choice {
  readonly facet: Facet | null;
  readonly word: string;
  readonly look: { readonly shape: Shape; readonly tone: Tone } | null;
}

function connectionChoice(connection: ConnectionState): Choice {
  const look = connectionLook('approved', connection);
  return { facet: connection, word: look.word.toLowerCase(), look };
}

const CHOICES: readonly Choice[] = [
  { facet: null, word: 'all', look: null },
  { facet: 'attention', word: 'need attention', look: null },
  connectionChoice('offline'),
  connectionChoice('late'),
  connectionChoice('online'),
  connectionChoice('never'),
  { facet: 'pending', word: 'for approval', look: connectionLook('pending', 'never') },
  { facet: 'revoked', word: 'revoked', look: connectionLook('revoked', 'never') },
];

/** Shown even when there is none of it, so that their place is learned. */
const ALWAYS: readonly (Facet | null)[] = [null, 'attention', 'offline', 'late', 'online'];

export function FleetSummary({
  counts,
  facet,
  onFacet,
}: {
  counts: FleetCounts;
  facet: Facet | null;
  onFacet: (facet: Facet | null) => void;
}): JSX.Element {
  const shown = CHOICES.filter(
    (choice) =>
      ALWAYS.includes(choice.facet) || counts[choice.facet ?? 'all'] > 0 || choice.facet === facet,
  );
  return (
    <div class="summary">
      <div class="channel" aria-hidden="true">
        {SEGMENTS.filter((name) => counts[name] > 0).map((name) => (
          <span class={`channel-${name}`} key={name} style={{ flexGrow: counts[name] }} />
        ))}
      </div>
      <div class="facets" role="group" aria-label="Filter by state">
        {shown.map((choice) => (
          <button
            type="button"
            class="facet"
            key={choice.word}
            data-facet={choice.facet ?? 'all'}
            data-none={counts[choice.facet ?? 'all'] === 0}
            aria-pressed={choice.facet === facet}
            onClick={() => onFacet(choice.facet === facet ? null : choice.facet)}
          >
            <span class="facet-count">{formatCount(counts[choice.facet ?? 'all'])}</span>
            <span class="facet-word">
              {choice.look === null ? null : (
                <Mark shape={choice.look.shape} tone={choice.look.tone} />
              )}
              {choice.word}
            </span>
          </button>
        ))}
      </div>
    </div>
  );
}
