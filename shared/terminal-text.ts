/**
 * Text that does nothing to a terminal. Names, messages, keys and payloads come from devices, and
 * their control characters could move the cursor, retitle the window or answer for the person; the
 * marks that turn the direction of text could make it read as something else (CVE-2021-42574).
 *
 * Each is shown as `\uXXXX`: to a person it is there to be seen, and in JSON it means the same
 * character, so that what programs read is what came. Line breaks and tabs stay.
 */
const ACTIVE = /[^\P{Cc}\n\t]|[\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const ESC = '\u001B';
/** What may stay: `\u001B[31m` and the like, which only colour what follows. */
const COLOUR = new RegExp(`(${ESC}\\[\\d{1,2}m)`);

export function inert(text: string): string {
  return text.replaceAll(
    ACTIVE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** As `inert`, and colours stay. */
export function inertButColoured(text: string): string {
  return text
    .split(COLOUR)
    .map((part, index) => (index % 2 === 1 ? part : inert(part)))
    .join('');
}
