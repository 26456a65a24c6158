/**
 * Labels as a person types them, `site=lyon, role=press`, by the rules that enrolment applies. A
 * wrong one is said at once, with how to mend it, not after the command failed on the device.
 */
const KEY = /^[A-Za-z0-9]([A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^[A-Za-z0-9_.-]{0,63}$/;

export type LabelInput =
  | { readonly ok: true; readonly labels: Readonly<Record<string, string>> }
  | { readonly ok: false; readonly error: string };

export function parseLabels(text: string): LabelInput {
  // A map: a key such as `constructor` is on every object already.
  const labels = new Map<string, string>();
  for (const part of text.split(/[\s,]+/).filter(Boolean)) {
    const at = part.indexOf('=');
    if (at < 1) return { ok: false, error: `${part}: write key=value` };
    const key = part.slice(0, at);
    const value = part.slice(at + 1);
    if (!KEY.test(key)) return { ok: false, error: `${key}: a key has letters, digits, _ . / -` };
    if (!VALUE.test(value)) {
      return {
        ok: false,
        error: `${part}: a value has letters, digits, _ . - and no more than 63`,
      };
    }
    if (labels.has(key)) return { ok: false, error: `${key} is given twice` };
    labels.set(key, value);
  }
  return { ok: true, labels: Object.fromEntries(labels) };
}
