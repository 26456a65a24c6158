/** How components reach the model and load what the live link does not carry. */
import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useState } from 'preact/hooks';
import { ApiError } from './api/api-client.ts';
import type { AppModel } from './app-model.ts';
import type { Observable } from './live/observable.ts';

export const AppContext = createContext<AppModel | null>(null);

export function useApp(): AppModel {
  const app = useContext(AppContext);
  if (app === null) throw new Error('the page is rendered outside of its AppContext');
  return app;
}

export function useObservable<T>(observable: Observable<T>): T {
  const [value, setValue] = useState<T>(() => observable.value);
  useEffect(() => {
    const read = (): void => setValue(() => observable.value);
    // It may have changed between rendering and now.
    read();
    return observable.subscribe(read);
  }, [observable]);
  return value;
}

/** The server's time, ticking once a second. */
export function useNow(): number {
  return useObservable(useApp().now);
}

/** True around what a device reported before its own contact was lost. */
export const OldContext = createContext(false);

/** Whether what is shown may no longer be true: the page lost its server, or that its device. */
export function useStale(): boolean {
  const lost = useObservable(useApp().stale);
  return useContext(OldContext) || lost;
}

/** Whether the signed-in person may change things; the server decides in the end. */
export function useMayOperate(): boolean {
  const me = useObservable(useApp().me);
  return me !== null && me.role !== 'viewer';
}

export type Loaded<T> =
  | { readonly status: 'loading' }
  | { readonly status: 'failed'; readonly error: Error; readonly reload: () => void }
  | { readonly status: 'ready'; readonly value: T; readonly reload: () => void };

/**
 * Loads when `key` changes and again when contact with the server returns. While it loads again
 * the last value of the same key stays, so that nothing flickers.
 */
export function useLoaded<T>(key: string, load: () => Promise<T>): Loaded<T> {
  const app = useApp();
  const [entry, setEntry] = useState<{ key: string; value?: T; error?: Error }>({ key });
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((count) => count + 1), []);
  useEffect(() => app.onContact(reload), [app, reload]);
  useEffect(() => {
    let current = true;
    const keep = (change: { value: T; error?: never } | { error: Error }): void => {
      if (!current) return;
      setEntry((before) => {
        if ('value' in change || before.key !== key) return { key, ...change };
        return { ...before, ...change };
      });
    };
    load().then(
      (value) => keep({ value }),
      (thrown: unknown) => keep({ error: asError(thrown) }),
    );
    return () => {
      current = false;
    };
    // `load` is made anew at each rendering; `key` says when it would answer something else.
  }, [key, round]);
  if (entry.key !== key) return { status: 'loading' };
  // What is gone is gone; any other failure to read again leaves what was read before.
  const isGone = entry.error instanceof ApiError && entry.error.status === 404;
  if (entry.value !== undefined && !isGone) return { status: 'ready', value: entry.value, reload };
  if (entry.error !== undefined) return { status: 'failed', error: entry.error, reload };
  return { status: 'loading' };
}

/** How often what has no live view is read again while the page is in sight. */
const REFRESH_MS = 10_000;

export function useRefresh(loaded: Loaded<unknown>, everyMs = REFRESH_MS): void {
  const reload = loaded.status === 'loading' ? null : loaded.reload;
  const stale = useStale();
  useEffect(() => {
    if (reload === null || stale) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [reload, stale, everyMs]);
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
