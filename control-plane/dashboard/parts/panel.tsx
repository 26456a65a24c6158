/** Sections of a page, and what stands in them while there is nothing to show. */
import type { ComponentChildren, JSX } from 'preact';
import { Mark } from './state-mark.tsx';

export function Panel({
  title,
  note,
  actions,
  children,
}: {
  title: string;
  note?: ComponentChildren | undefined;
  actions?: ComponentChildren;
  children: ComponentChildren;
}): JSX.Element {
  const id = `panel-${title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  return (
    <section class="panel" aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note === undefined ? null : <span class="panel-note">{note}</span>}
        {actions === undefined ? null : <div class="panel-actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

export function EmptyNote({ children }: { children: ComponentChildren }): JSX.Element {
  return <p class="empty-note">{children}</p>;
}

export function Loading({ what }: { what: string }): JSX.Element {
  return (
    <p class="empty-note loading" role="status">
      Loading {what}…
    </p>
  );
}

export function ErrorNote({ error, retry }: { error: Error; retry?: () => void }): JSX.Element {
  return (
    <div class="error-note" role="alert">
      <Mark shape="square" tone="error" />
      <span>{error.message}</span>
      {retry === undefined ? null : (
        <button type="button" class="button small" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
