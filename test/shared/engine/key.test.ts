/** The text that a key has in memory is the text that it has on disk. */
import { expect, test } from 'vitest';
import { keyOfText, keyText } from '@runnel/shared/engine/key.ts';
import { compileYaml, feed, jobYaml, run } from '../../support/engine.ts';

const onDisk = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

test.each(['\ud800', 'a\udc00b', '\u0001\ud800', '😀', ''])('of %j', (key) => {
  const text = keyText(key);
  expect(onDisk(text)).toBe(text);
  expect(keyOfText(text)).toBe(key.toWellFormed());
  expect(keyText(keyOfText(text))).toBe(text);
});

test.each([
  ['"payload.k"', '\ufffd'],
  ['["payload.k", "topic"]', ['\ufffd', 't']],
])('by %s, half a surrogate pair is one key, killed or not', (by, key) => {
  const program = compileYaml(
    jobYaml(`- window: { tumbling: 10s, by: ${by} }\n  aggregate: { n: "count()" }`),
  );
  const lines = ['\ud800', '\ud801', '\ufffd'].map((k) => ({
    time: 1,
    topic: 't',
    payload: { k },
  }));
  const whole = run(program, feed('in', lines));
  expect(whole.outputs).toMatchObject([{ key, value: { n: 3 } }]);
  const killed = run(program, feed('in', lines), { killAfter: () => true });
  expect(killed.lines).toEqual(whole.lines);
});
