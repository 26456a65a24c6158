/**
 * A text that came from a device or a person, as every store takes it: PostgreSQL refuses U+0000 in
 * a text, and what it refuses would come again for ever. It stands as U+FFFD; what is beyond
 * `charsMax` is cut.
 */
export function storableText(text: string, charsMax: number): string {
  return text.slice(0, charsMax).replaceAll('\0', '\uFFFD');
}
