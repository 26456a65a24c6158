/** Topic filters as MQTT 4.7 says. */
import { expect, it } from 'vitest';
import { topicMatcher } from '@runnel/agent/sources/topic-filter.ts';

it.each([
  ['a/b', ['a/b'], ['a', 'a/b/c', 'a/c', '/a/b']],
  ['a/+/c', ['a/b/c', 'a//c'], ['a/c', 'a/b/c/d', 'a/b']],
  ['+', ['a', ''], ['a/b', '/a', '$SYS']],
  ['a/#', ['a', 'a/b', 'a/b/c', 'a/'], ['ab', 'b/a']],
  ['#', ['a', 'a/b', '/'], ['$SYS/uptime']],
  ['+/b', ['a/b', '/b'], ['$SYS/b']],
  ['$SYS/#', ['$SYS/uptime'], ['a']],
  ['$share/group/a/+', ['a/b'], ['group/a/b', 'a']],
])('%s matches what it should and nothing else', (filter, matching, others) => {
  const matches = topicMatcher(filter);
  expect(matching.filter((topic) => !matches(topic))).toEqual([]);
  expect(others.filter((topic) => matches(topic))).toEqual([]);
});
