/**
 * The key under which dead letters are counted in a job's report: `<step>: <reason>`. Names of
 * steps hold no colon, so a key splits in one way only. Keys beyond `DEAD_LETTER_KEYS_MAX` are
 * counted together as `other`.
 */
export const DEAD_LETTER_KEYS_MAX = 50;
export const OTHER_DEAD_LETTERS = 'other';

const SEPARATOR = ': ';

export function deadLetterKey(step: string, reason: string): string {
  return `${step}${SEPARATOR}${reason}`;
}

/** The step is empty for `other`. */
export function splitDeadLetterKey(key: string): {
  readonly step: string;
  readonly reason: string;
} {
  const at = key.indexOf(SEPARATOR);
  if (at < 0) return { step: '', reason: key };
  return { step: key.slice(0, at), reason: key.slice(at + SEPARATOR.length) };
}
