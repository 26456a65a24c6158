/** What the parts of the API's client share: how one asks, and how a query is written. */
export type Request = <T>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<T>;

/** `?a=1&b=2`, or nothing; what is null or undefined is left out. */
export function queryOf(fields: Readonly<Record<string, string | null | undefined>>): string {
  const given: [string, string][] = Object.entries(fields).flatMap(([key, value]) =>
    value === undefined || value === null ? [] : [[key, value]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}
