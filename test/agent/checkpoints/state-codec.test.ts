/** A state value comes back from disk exactly as it was (I6). */
import { expect, test } from 'vitest';
import { decodeState, encodeState } from '@runnel/agent/checkpoints/state-codec.ts';

test.each([
  [{ last: '\ud800' }],
  [{ ['\udc00']: 1 }],
  [['a\ud800b', { nested: ['\ud800'] }]],
  [{ zero: -0 }],
  [JSON.parse('{"__proto__":1}') as unknown],
  [{ text: '😀 é', n: 1.5, none: null }],
])('%j', (value) => {
  expect(decodeState(encodeState('k', value))).toStrictEqual(value);
});
