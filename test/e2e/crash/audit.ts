/**
 * The auditor: compares what is in the store with the oracle, and says everything that differs.
 * It reads the public API only.
 */
import type { Workload } from './workload.ts';

export interface StoredResult {
  readonly agent: string;
  readonly epoch: string;
  readonly seq: number;
  readonly key: string;
  readonly windowStart: number;
  readonly revision: number;
  readonly value: { n: number; total: number; low: number; high: number } | null;
}

export interface Api {
  readonly url: string;
  readonly token: string;
}

export async function get<T>(api: Api, path: string): Promise<T> {
  const response = await fetch(`${api.url}/api/v1${path}`, {
    headers: { authorization: `Bearer ${api.token}` },
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** Every row of the dataset, by following the cursor until nothing new comes. */
export async function readAll(api: Api, dataset: string): Promise<StoredResult[]> {
  const rows: StoredResult[] = [];
  let after = '';
  for (;;) {
    const query = `limit=1000${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`;
    const page = await get<{ items: StoredResult[]; next: string }>(
      api,
      `/datasets/${dataset}/results?${query}`,
    );
    if (page.items.length === 0) return rows;
    rows.push(...page.items);
    after = page.next;
  }
}

/** Differences between store and oracle, as sentences; empty when all is right. */
export function audit(rows: readonly StoredResult[], workload: Workload): string[] {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const row of rows) {
    if (row.key === 'closing') continue;
    const id = `${row.key}@${row.windowStart}`;
    const wanted = workload.expected.get(id);
    if (seen.has(id)) wrong.push(`${id} came twice (revision ${row.revision})`);
    seen.add(id);
    if (wanted === undefined) {
      wrong.push(`${id} should not exist`);
      continue;
    }
    for (const column of ['n', 'total', 'low', 'high'] as const) {
      const value = row.value?.[column];
      if (value !== wanted[column]) {
        wrong.push(`${id} ${column}: ${String(value)}, the oracle has ${wanted[column]}`);
      }
    }
  }
  for (const id of workload.expected.keys()) if (!seen.has(id)) wrong.push(`${id} is missing`);
  return wrong;
}
