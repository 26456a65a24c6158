import { describe, expect, it } from 'vitest';
import { parseSelector, selects } from '@runnel/control-plane/rollouts/selector.ts';
import { place, placedJob } from '@runnel/control-plane/rollouts/placement.ts';

const agent = (labels: Record<string, string> = {}, more: object = {}) => ({
  id: 'a1',
  name: 'press 4',
  labels,
  status: 'approved',
  platform: { os: 'linux', arch: 'arm64' },
  ...more,
});

const matching = (selector: string, labels: Record<string, string> = {}): boolean =>
  selects(parseSelector(selector), agent(labels));

describe('selectors over agents', () => {
  it('hold when every term holds', () => {
    const labels = { site: 'lyon', role: 'press' };
    expect(matching('site in (lyon, turin), role=press', labels)).toBe(true);
    expect(matching('site in (lyon, turin), role=oven', labels)).toBe(false);
    expect(matching('', labels)).toBe(true);
  });

  it('see the built-in labels', () => {
    expect(matching('id=a1,arch=arm64,os=linux')).toBe(true);
    expect(selects(parseSelector('name=press-4'), agent({}, { name: 'press-4' }))).toBe(true);
    expect(matching('arch=x64')).toBe(false);
  });

  it('do not believe a device that labels itself with a built-in name', () => {
    expect(matching('id=victim', { id: 'victim' })).toBe(false);
    expect(matching('arch=x64', { arch: 'x64' })).toBe(false);
  });

  it('hold for != and notin where the label is missing', () => {
    expect(matching('site!=lyon')).toBe(true);
    expect(matching('site notin (lyon)', { site: 'lyon' })).toBe(false);
    expect(matching('gateway')).toBe(false);
    expect(matching('!gateway')).toBe(true);
  });

  it('say what is wrong with a selector', () => {
    for (const wrong of ['site in lyon', 'site in (lyon', ',', 'a=b,,c=d', '=x', 'ä=1']) {
      expect(() => parseSelector(wrong), wrong).toThrow(
        expect.objectContaining({ code: 'selector_invalid' }),
      );
    }
  });
});

describe('placement', () => {
  const job = (name: string, document: object) =>
    placedJob({ name, version: 2, hash: 'h', document });

  it('puts a job without placement on every approved agent', () => {
    const jobs = [job('everywhere', {}), job('lyon', { placement: { selector: 'site=lyon' } })];
    const names = (labels: Record<string, string>, more: object = {}): string[] =>
      place(agent(labels, more), jobs).placed.map(({ job: { name } }) => name);
    expect(names({})).toEqual(['everywhere']);
    expect(names({ site: 'lyon' })).toEqual(['everywhere', 'lyon']);
    expect(names({ site: 'lyon' }, { status: 'pending' })).toEqual([]);
    expect(names({ site: 'lyon' }, { status: 'revoked' })).toEqual([]);
  });

  it('gives parameters that have a default, as they were written', () => {
    const parameters = {
      limit: { type: 'number', default: 0.8 },
      hold: { type: 'duration', default: '30s' },
      site: { type: 'string' },
    };
    const given = (document: object) => job('j', document).desired.parameters;
    expect(given({ parameters })).toEqual({ limit: 0.8, hold: '30s' });
    expect(given({})).toEqual({});
  });
});
