/**
 * SQL cut into code and what is none: texts, quoted names, comments, dollar quotes. Enough to
 * replace `$cursor`, to see a second statement and whether the first is a SELECT; nothing else is
 * understood of the language.
 */
export interface SqlPiece {
  readonly text: string;
  readonly isCode: boolean;
}

const NO_CODE = new RegExp(
  [
    /--[^\n]*/,
    /\/\*[^]*?(?:\*\/|$)/,
    /'(?:[^']|'')*(?:'|$)/,
    /"(?:[^"]|"")*(?:"|$)/,
    /`[^`]*(?:`|$)/,
    /\$([A-Za-z_]\w*)?\$[^]*?(?:\$\1\$|$)/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
);

export function sqlPieces(sql: string): SqlPiece[] {
  const pieces: SqlPiece[] = [];
  let end = 0;
  for (const match of sql.matchAll(NO_CODE)) {
    if (match.index > end) pieces.push({ text: sql.slice(end, match.index), isCode: true });
    pieces.push({ text: match[0], isCode: false });
    end = match.index + match[0].length;
  }
  if (end < sql.length) pieces.push({ text: sql.slice(end), isCode: true });
  return pieces;
}

const CURSOR = /\$cursor\b/g;

export function usesCursor(sql: string): boolean {
  return sqlPieces(sql).some(({ text, isCode }) => isCode && text.search(CURSOR) >= 0);
}

/** `$cursor` in code as what a database knows. */
export function replaceCursor(sql: string, placeholder: string): string {
  return sqlPieces(sql)
    .map(({ text, isCode }) => (isCode ? text.replaceAll(CURSOR, () => placeholder) : text))
    .join('');
}

/** Whether something follows a semicolon. */
export function hasSecondStatement(sql: string): boolean {
  const code = sqlPieces(sql).map(({ text, isCode }) =>
    isCode ? text : /^(--|\/\*)/.test(text) ? ' ' : 'x',
  );
  return /;\s*[^\s;]/.test(code.join(''));
}

export function isSelect(sql: string): boolean {
  const code = sqlPieces(sql).find(({ text, isCode }) => isCode && text.trim() !== '');
  return /^\s*(select|with|values|table)\b/i.test(code?.text ?? '');
}
