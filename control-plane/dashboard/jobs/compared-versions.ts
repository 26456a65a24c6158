/** Which two versions are compared, as the address says or else the newest two. Pure. */

export interface Compared {
  readonly from: number;
  readonly to: number;
}

/** `known` newest first. Null: there are not two. */
export function comparedVersions(query: string, known: readonly number[]): Compared | null {
  const [newest, before] = known;
  if (newest === undefined || before === undefined) return null;
  const params = new URLSearchParams(query);
  const asked = (name: string): number | undefined => {
    const version = Number(params.get(name));
    return known.includes(version) ? version : undefined;
  };
  const to = asked('to') ?? newest;
  return { from: asked('from') ?? known.find((version) => version < to) ?? before, to };
}

export function writeCompared({ from, to }: Compared): string {
  return `?${new URLSearchParams({ from: String(from), to: String(to) }).toString()}`;
}
