/** Help texts of the programs' options, for people. */

/** A default that is off or empty says nothing, and words need no quotes of JSON. */
export function plainDefault(text: string): string {
  return text
    .replace(/ \(default: (?:false|true|\[\])\)$/, '')
    .replace(/ \((?:choices|default): [^)]*\)$/, (extra) => extra.replaceAll('"', ''));
}
