/**
 * The shell around `router.ts`: the browser's history, and plain links that do not reload the
 * page. A link that the browser should treat itself (another tab, a download, another host) is
 * left to it.
 */
import { Observable } from './live/observable.ts';
import { movedTo } from './router.ts';

export interface Address {
  readonly path: string;
  readonly query: string;
}

function current(): Address {
  return { path: location.pathname, query: location.search };
}

export const address = new Observable<Address>(current());

export function navigate(to: string): void {
  history.pushState(null, '', to);
  address.set(current());
  scrollTo(0, 0);
}

/** Changes the query alone, without a step in the history. */
export function replaceQuery(query: string): void {
  if (query === location.search) return;
  const next = new URL(location.href);
  next.search = query;
  // Whole: a path that begins with two slashes would be read as the address of another host.
  history.replaceState(history.state, '', next);
  address.set(current());
}

export function startNavigation(): void {
  const moved = movedTo(location.pathname, location.search);
  if (moved !== null) {
    history.replaceState(history.state, '', moved);
    address.set(current());
  }
  addEventListener('popstate', () => address.set(current()));
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.origin !== location.origin || link.target !== '') return;
    if (link.hasAttribute('download') || link.pathname.startsWith('/api/')) return;
    // Links within the page (skip to content) move the focus, which the browser does best.
    if (link.hash !== '' && link.pathname === location.pathname) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
