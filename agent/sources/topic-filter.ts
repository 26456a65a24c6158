/**
 * MQTT topic filters: `+` stands for one level, `#` for the rest including none.
 *
 * A filter that begins with a wildcard does not match topics that begin with `$` (MQTT 4.7.2). A
 * shared subscription (`$share/group/filter`) matches as its filter.
 */
export function topicMatcher(filter: string): (topic: string) => boolean {
  const levels = unshared(filter).split('/');
  const wild = levels[0] === '+' || levels[0] === '#';
  const plain = !levels.includes('+') && !levels.includes('#');
  if (plain) {
    const exact = levels.join('/');
    return (topic) => topic === exact;
  }
  return (topic) => !(wild && topic.startsWith('$')) && matchLevels(levels, topic.split('/'));
}

function unshared(filter: string): string {
  return filter.startsWith('$share/') ? filter.split('/').slice(2).join('/') : filter;
}

function matchLevels(filter: readonly string[], topic: readonly string[]): boolean {
  for (let index = 0; index < filter.length; index += 1) {
    const level = filter[index];
    if (level === '#') return true;
    if (index >= topic.length) return false;
    if (level !== '+' && level !== topic[index]) return false;
  }
  return filter.length === topic.length;
}

/** What is wrong with a filter, or null: for a clear error before a broker refuses it. */
export function topicFilterError(filter: string): string | null {
  if (filter === '') return 'a topic filter cannot be empty';
  if (filter.includes('\u0000')) return 'a topic filter cannot contain the character U+0000';
  if (Buffer.byteLength(filter) > 65_535) return 'a topic filter has at most 65,535 bytes';
  const levels = filter.split('/');
  if (levels.slice(0, -1).includes('#')) return '# is allowed only as the last level';
  const bad = levels.find((level) => level.length > 1 && /[+#]/.test(level));
  return bad === undefined ? null : `"${bad}": + and # stand for a whole level`;
}
