/**
 * Two live processes of one identity (a copied disk, a cloned virtual machine): their heartbeats
 * carry different epochs in turn. A restart moves from one epoch to the next and never back, so an
 * epoch that returns betrays the second process. Three returns within ten minutes are proof: one
 * message of the old process that came late makes two. Pure; times are milliseconds in which
 * devices could be heard, so that nothing is forgotten while nobody listens.
 */
const EPOCHS_KEPT = 4;
const RETURNS_TO_PROVE = 3;
/** Who was listened to for that long, and is not cloned, is known to be alone. */
export const CLONE_WINDOW_MS = 10 * 60_000;

export interface CloneWatch {
  /** The newest last. */
  readonly epochs: readonly string[];
  /** When an epoch came back, within the window. */
  readonly returnsMs: readonly number[];
}

export const noClone: CloneWatch = { epochs: [], returnsMs: [] };

export function sawEpoch(watch: CloneWatch, epoch: string, nowMs: number): CloneWatch {
  const returnsMs = watch.returnsMs.filter((at) => nowMs - at < CLONE_WINDOW_MS);
  if (watch.epochs.at(-1) === epoch) {
    return returnsMs.length === watch.returnsMs.length ? watch : { ...watch, returnsMs };
  }
  const returned = watch.epochs.includes(epoch);
  const others = watch.epochs.filter((known) => known !== epoch);
  return {
    epochs: [...others, epoch].slice(-EPOCHS_KEPT),
    returnsMs: returned ? [...returnsMs, nowMs].slice(-RETURNS_TO_PROVE) : returnsMs,
  };
}

export function isCloned(watch: CloneWatch, nowMs: number): boolean {
  const recent = watch.returnsMs.filter((at) => nowMs - at < CLONE_WINDOW_MS);
  return recent.length >= RETURNS_TO_PROVE;
}
