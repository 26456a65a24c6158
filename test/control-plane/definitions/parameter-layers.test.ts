/** Layers of parameters: who wins, what is hidden, what does not fit. */
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  layeredValues,
  ParameterLayers,
  parseScope,
  scopeText,
  unusedValues,
} from '@runnel/control-plane/definitions/parameter-layers.ts';

const press = {
  ...{ id: 'a1', name: 'press-1', labels: { site: 'lyon', role: 'press', line: '3' } },
  platform: { os: 'linux', arch: 'arm64' },
  capabilities: ['stream'],
};
const declared = { limit: { type: 'number', default: 1, max: 100 } } as const;

const layersOf = (scopes: Readonly<Record<string, unknown>>): ParameterLayers =>
  new ParameterLayers(
    Object.entries(scopes).map(([scope, limit]) => ({ scope, values: { limit } })),
  );
const on = (scopes: Readonly<Record<string, unknown>>, agent = press) =>
  layeredValues(declared, layersOf(scopes).of(agent), false);

describe('scopes', () => {
  test.each([
    ['fleet', 'fleet'],
    ['label:role=press', 'label:role=press'],
    ['label: line == 3 and role in (press, oven)', 'label:line=3,role in (oven,press)'],
    ['label:!spare,capability/sql', 'label:!spare,capability/sql'],
    ['site:lyon', 'site:lyon'],
    ['agent:a1', 'agent:a1'],
  ])('%s is written %s', (text, written) => {
    expect(scopeText(parseScope(text))).toBe(written);
    expect(scopeText(parseScope(written))).toBe(written);
  });

  test.each(['', 'Fleet', 'label:', 'label:a b', 'site:', 'site:a b', 'agent:', 'device:x'])(
    '%s is none, and it is told what one is',
    (text) => {
      expect(() => parseScope(text)).toThrow(
        expect.objectContaining({ code: 'scope_invalid', hint: expect.any(String) as string }),
      );
    },
  );
});

describe('layers', () => {
  it('win device over site over label over fleet over the default, and hide the others', () => {
    const scopes = { 'agent:a1': 5, 'site:lyon': 4, 'label:role=press': 3, fleet: 2 };
    const { parameters, given, problems } = on(scopes);
    expect([given, problems]).toEqual([{ limit: 5 }, []]);
    expect(parameters['limit']).toEqual({
      value: 5,
      origin: 'agent:a1',
      overridden: [
        { origin: 'site:lyon', value: 4, tied: false },
        { origin: 'label:role=press', value: 3, tied: false },
        { origin: 'fleet', value: 2, tied: false },
        { origin: 'default', value: 1, tied: false },
      ],
    });
  });

  it('of labels: more terms win; of as many the later text, which is told as tied', () => {
    const two = { 'label:line=3,role=press': 2, 'label:site=lyon': 3 };
    expect(on(two).parameters['limit']).toMatchObject({ origin: 'label:line=3,role=press' });
    const { origin, overridden } = on({ 'label:role=press': 2, 'label:line=3': 3 }).parameters[
      'limit'
    ]!;
    expect(origin).toBe('label:role=press');
    expect(overridden[0]).toEqual({ origin: 'label:line=3', value: 3, tied: true });
  });

  it('of others do not apply', () => {
    const others = { 'agent:a2': 5, 'site:turin': 4, 'label:role=oven': 3 };
    expect(on(others)).toMatchObject({ given: { limit: 1 }, problems: [] });
    const unlabelled = { ...press, labels: {} as typeof press.labels };
    expect(on({ 'site:lyon': 4 }, unlabelled).given).toEqual({ limit: 1 });
  });

  it('with a value that does not fit are told by name; what is hidden is not looked at', () => {
    expect(on({ 'site:lyon': 500 }).problems).toEqual([
      'parameters.limit 500 is more than 100 (from site:lyon)',
    ]);
    expect(on({ 'site:lyon': 'x', 'agent:a1': 5 }).problems).toEqual([]);
  });

  it('without a value are a problem of a stream job; a run of a batch job may bring it', () => {
    const open = { line: { type: 'string' } } as const;
    expect(layeredValues(open, [], false).problems).toEqual([
      'parameters.line has no value: set it, or give it a default',
    ]);
    expect(layeredValues(open, [], true).problems).toEqual([]);
    const bad = new ParameterLayers([{ scope: 'fleet', values: { line: 7 } }]).of(press);
    expect(layeredValues(open, bad, true).problems).toHaveLength(1);
  });

  it('with names that are not declared wait for a version that declares them', () => {
    const layers = new ParameterLayers([{ scope: 'fleet', values: { gone: 1, limit: 2 } }]);
    expect(layeredValues(declared, layers.of(press), false)).toMatchObject({
      given: { limit: 2 },
      problems: [],
    });
    expect(unusedValues(declared, layers)).toEqual(['gone (fleet)']);
  });
});

/** Naive: the strongest by sorting every layer that applies, one name at a time. */
function oracle(scopes: Readonly<Record<string, number>>): unknown {
  const rank = (scope: string): string => {
    if (scope === 'fleet') return '0';
    if (scope.startsWith('label:')) return `1 ${scope.split(',').length} ${scope}`;
    return scope.startsWith('site:') ? '2' : '3';
  };
  const own = ['fleet', 'site:lyon', 'agent:a1'];
  const applies = Object.keys(scopes).filter(
    (scope) => own.includes(scope) || (scope.startsWith('label:') && !scope.includes('oven')),
  );
  const [best] = applies.toSorted((a, b) => (rank(a) < rank(b) ? 1 : -1));
  return best === undefined ? 1 : scopes[best];
}

test('the value is that of the strongest layer, in whatever order they come', () => {
  const scope = fc.constantFrom(
    ...['fleet', 'site:lyon', 'site:turin', 'agent:a1', 'agent:a2', 'label:role=oven'],
    ...['label:role=press', 'label:line=3', 'label:line=3,role=press', 'label:line=3,role=oven'],
    ...['label:site=lyon', 'label:line=3,site=lyon', 'label:line=3,role=press,site=lyon'],
  );
  const entries = fc.uniqueArray(fc.tuple(scope, fc.integer({ min: 0, max: 100 })), {
    selector: ([name]) => name,
  });
  fc.assert(
    fc.property(entries, (list) => {
      const scopes = Object.fromEntries(list);
      const { given, parameters } = on(scopes);
      expect(given['limit']).toBe(oracle(scopes));
      expect(on(Object.fromEntries(list.toReversed())).parameters).toEqual(parameters);
    }),
  );
});
