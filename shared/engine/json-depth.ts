/**
 * How deep a JSON text is nested, judged before it is parsed: `JSON.parse` reads any depth, but
 * whatever walks the value afterwards (`JSON.stringify` for one) would overflow the stack.
 *
 * A text that is too short to hold so many brackets costs one comparison. Brackets inside of
 * strings are passed over.
 */
import { limits } from '../limits.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether objects and arrays are nested deeper than `limits.jsonDepthMax`. */
export function isTooDeep(text: string): boolean {
  if (text.length <= limits.jsonDepthMax * 2) return false;
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === BACKSLASH) index += 1;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      inString = true;
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > limits.jsonDepthMax) return true;
    } else if (code === 0x5d || code === 0x7d) {
      depth -= 1;
    }
  }
  return false;
}
