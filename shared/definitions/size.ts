/**
 * Sizes in documents: text with a unit (`64MiB`, `10kB`), bytes inside.
 */
import { parsedText } from './strict.ts';

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Bytes, or undefined when the text is no size. */
export function sizeOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s?([kKMG]?i?B)$/.exec(text) ?? [];
  const factor = UNITS[unit ?? ''];
  if (amount === undefined || factor === undefined) return undefined;
  const bytes = Math.round(Number(amount) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

export const size = parsedText<number>(
  (text) =>
    sizeOf(text) ?? {
      problem: `"${text}" is no size`,
      hint: 'write a number with a unit: 512KiB, 64MiB, 1GiB',
    },
  { description: 'Size in bytes with a unit.', examples: ['64MiB'] },
);
