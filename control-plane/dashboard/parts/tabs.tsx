/** The parts of a page, each with an address of its own: links, so that they can be sent. */
import type { JSX } from 'preact';

export interface Tab {
  readonly key: string;
  readonly word: string;
  readonly href: string;
  /** Beside the word: how many there are. */
  readonly count?: number;
}

export function Tabs({
  label,
  tabs,
  current,
}: {
  label: string;
  tabs: readonly Tab[];
  current: string;
}): JSX.Element {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(({ key, word, href, count }) => (
        <a key={key} href={href} aria-current={key === current ? 'page' : undefined}>
          {word}
          {count === undefined || count === 0 ? null : <span class="tab-count">{count}</span>}
        </a>
      ))}
    </nav>
  );
}
