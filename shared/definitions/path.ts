/** Where something is in a document: `['steps', 2, 'filter']`, written `steps[2].filter`. */
export type Path = readonly (string | number)[];

export function pathText(path: Path): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key)}]`;
  }
  return text === '' ? '(document)' : text;
}

/** The other way round, for issues that carry only the text. */
export function parsePath(text: string): Path {
  if (text === '(document)') return [];
  const keys: (string | number)[] = [];
  for (const [, name, index, quoted] of text.matchAll(
    /([A-Za-z_][\w-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/g,
  )) {
    if (name !== undefined) keys.push(name);
    else if (index !== undefined) keys.push(Number(index));
    else if (quoted !== undefined) keys.push(JSON.parse(quoted) as string);
  }
  return keys;
}
