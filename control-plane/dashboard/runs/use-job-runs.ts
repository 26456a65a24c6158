/**
 * The runs of a job as a page lists them: the newest page, older ones on demand, and what came live
 * since. What was read anew replaces what came live before it was asked for.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { RunItem } from '../../http/run-messages.ts';
import type { RunPage } from '../api/runs-api.ts';
import { asError, type Loaded, useApp, useLoaded } from '../hooks.ts';
import { appendRuns, mergeRuns, type RunFilter } from './run-list.ts';

export interface JobRuns {
  readonly items: readonly RunItem[];
  /** Null when there are no older ones. */
  readonly loadOlder: (() => void) | null;
  readonly olderBusy: boolean;
  readonly olderError: Error | null;
}

interface Change {
  readonly seq: number;
  readonly items: readonly RunItem[];
}

interface Older {
  /** Of which newest page these are the older ones. */
  readonly of: unknown;
  readonly items: readonly RunItem[];
  readonly next: string | null;
  readonly busy: boolean;
  readonly error: Error | null;
}

/** Messages that are kept before the page is read anew: each is at most a second of changes. */
const CHANGES_MAX = 600;

export function useJobRuns(job: string, filter: RunFilter, limit: number): Loaded<JobRuns> {
  const app = useApp();
  const seq = useRef(0);
  const [changes, setChanges] = useState<readonly Change[]>([]);
  const [older, setOlder] = useState<Older | null>(null);
  const read = async (): Promise<{ readonly page: RunPage; readonly since: number }> => {
    const since = seq.current;
    return { page: await app.api.runs.list({ job, ...filter, limit }), since };
  };
  const loaded = useLoaded(`runs/${JSON.stringify([job, filter, limit])}`, read);
  const reload = useRef<(() => void) | null>(null);
  reload.current = loaded.status === 'loading' ? null : loaded.reload;
  useEffect(
    () =>
      app.followRuns(job, (items, more) => {
        seq.current += 1;
        const change = { seq: seq.current, items };
        setChanges((before) => [...before, change].slice(-CHANGES_MAX));
        if (more || seq.current % CHANGES_MAX === 0) reload.current?.();
      }),
    [app, job],
  );
  if (loaded.status !== 'ready') return loaded;
  const { page, since } = loaded.value;
  const behind = older?.of === page ? older : null;
  const next = behind === null ? page.next : behind.next;
  const known = appendRuns(page.items, behind?.items ?? []);
  const items = changes
    .filter((change) => change.seq > since)
    .reduce((merged, change) => mergeRuns(merged, change.items, filter), known);
  const loadOlder = (): void => {
    const head = { of: page, items: behind?.items ?? [], next };
    setOlder({ ...head, busy: true, error: null });
    app.api.runs.list({ job, ...filter, limit, cursor: next }).then(
      (more) => {
        const all = appendRuns(head.items, more.items);
        setOlder({ of: page, items: all, next: more.next, busy: false, error: null });
      },
      (thrown: unknown) => setOlder({ ...head, busy: false, error: asError(thrown) }),
    );
  };
  return {
    status: 'ready',
    reload: loaded.reload,
    value: {
      items,
      loadOlder: next === null ? null : loadOlder,
      olderBusy: behind?.busy ?? false,
      olderError: behind?.error ?? null,
    },
  };
}
