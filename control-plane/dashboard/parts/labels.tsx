/** Labels as `key=value`; a long list is cut and says by how many. */
import type { JSX } from 'preact';

export function Labels({
  labels,
  max = Infinity,
  fixed = [],
}: {
  labels: Readonly<Record<string, string>>;
  max?: number;
  /** Keys that the join token fixed. */
  fixed?: readonly string[];
}): JSX.Element {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return <span class="quiet">no labels</span>;
  const hidden = pairs.slice(max).map(([key, value]) => `${key}=${value}`);
  return (
    <span class="labels">
      {pairs.slice(0, max).map(([key, value]) => (
        <span
          class="label"
          key={key}
          title={
            fixed.includes(key) ? `${key}=${value}, fixed by the join token` : `${key}=${value}`
          }
        >
          <span class="label-key">{key}</span>
          {value}
        </span>
      ))}
      {hidden.length === 0 ? null : (
        <span class="label more" title={hidden.join('\n')}>
          +{hidden.length}
        </span>
      )}
    </span>
  );
}
