/** The history of a promise as pieces of a strip from `from` to `to`. Pure. */
import type { SlaIntervalItem, SlaVerdict } from '../../http/sla-messages.ts';

export interface StripPiece {
  readonly verdict: SlaVerdict;
  /** Shares of the strip, from 0 to 1. */
  readonly left: number;
  readonly width: number;
  readonly interval: SlaIntervalItem;
}

/** Pieces thinner than this could not be seen; a short breach is what one looks for. */
const WIDTH_MIN = 0.004;

export function stripPieces(
  intervals: readonly SlaIntervalItem[],
  from: number,
  to: number,
): StripPiece[] {
  const span = Math.max(1, to - from);
  return intervals.flatMap((interval) => {
    const start = Math.max(from, interval.from);
    const end = Math.min(to, interval.to ?? to);
    if (end < start || interval.from >= to) return [];
    const width = Math.max(WIDTH_MIN, (end - start) / span);
    const left = Math.min((start - from) / span, 1 - width);
    return [{ verdict: interval.verdict, left, width, interval }];
  });
}

/** What a screen reader hears instead of the strip. */
export function stripWords(pieces: readonly StripPiece[]): string {
  const breaches = pieces.filter(({ verdict }) => verdict === 'breached').length;
  const away = pieces.filter(({ verdict }) => verdict === 'unreachable').length;
  if (pieces.length === 0) return 'Nothing is known of this period.';
  const words = [
    breaches === 0 ? 'never breached' : `breached ${breaches === 1 ? 'once' : `${breaches} times`}`,
    ...(away === 0 ? [] : [`unreachable ${away === 1 ? 'once' : `${away} times`}`]),
  ];
  return `In this period ${words.join(', ')}.`;
}

export type Period = keyof typeof PERIODS;
export const PERIODS = {
  '24h': { word: '24 hours', ms: 86_400_000 },
  '7d': { word: '7 days', ms: 7 * 86_400_000 },
  '30d': { word: '30 days', ms: 30 * 86_400_000 },
} as const;

export function readPeriod(text: string | null): Period {
  return text === '24h' || text === '30d' ? text : '7d';
}
