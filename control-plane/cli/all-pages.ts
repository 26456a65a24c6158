import type { Context } from './context.ts';

interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string | null;
}

/** Every page, for lists that are told in full. */
export async function allPages<T>(
  context: Context,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<T[]> {
  const items: T[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await context.api.request<Page<T>>(path, { query: { ...query, after } });
    items.push(...page.items);
    if (typeof page.next !== 'string' || page.items.length === 0) return items;
    after = page.next;
  }
}
