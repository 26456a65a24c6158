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
