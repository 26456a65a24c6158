/** The datasets that a job's sinks write: `results: { dataset }`. Pure. */
export function datasetsOf(document: unknown): string[] {
  const { sinks } = document as { sinks?: unknown };
  if (!Array.isArray(sinks)) return [];
  const names = sinks
    .map((sink: { results?: { dataset?: unknown } } | null) => sink?.results?.dataset)
    .filter((dataset) => typeof dataset === 'string');
  return [...new Set(names)].toSorted();
}
