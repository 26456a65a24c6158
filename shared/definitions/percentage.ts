/**
 * Shares in documents: text with a percent sign (`99.5%`), a fraction inside (0.995).
 */
import { parsedText } from './strict.ts';

export const percentage = parsedText<number>(
  (text) => {
    const [, amount] = /^(\d+(?:\.\d+)?)\s?%$/.exec(text) ?? [];
    const share = Number(amount) / 100;
    if (amount !== undefined && share >= 0 && share <= 1) return share;
    return { problem: `"${text}" is no share`, hint: 'write a percentage from 0% to 100%' };
  },
  { description: 'Share in percent.', examples: ['99.5%'] },
);
