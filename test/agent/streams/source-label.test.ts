/** What a source is called before people. */
import { describe, expect, it } from 'vitest';
import type { SourceConnector } from '@runnel/shared/definitions/sources/registry.ts';
import type { DurationMs } from '@runnel/shared/ids.ts';
import { sourceLabel } from '@runnel/agent/streams/source-label.ts';
import { desired } from './counting-job.ts';
import { openSite } from './site.ts';

const mqtt = (topic: string, url?: string): SourceConnector => ({
  kind: 'mqtt',
  config: { topic, qos: 1, protocol: 'auto', ...(url !== undefined && { url }) },
});
const every = 1000 as DurationMs;

describe('the label of a source', () => {
  it.each<[SourceConnector, string]>([
    [mqtt('press/+/vibration'), 'press/+/vibration'],
    [mqtt('line/#', 'mqtts://broker.site.example:8884'), 'line/# at broker.site.example:8884'],
    [{ kind: 'file', config: { path: 'in/a.jsonl', from: 'start', every } }, 'in/a.jsonl'],
    [{ kind: 'host', config: { every } }, 'this device, every 1s'],
    [{ kind: 'file', config: { path: 'a\nb', from: 'end', every } }, 'a b'],
  ])('of %j is %s', (connector, label) => {
    expect(sourceLabel(connector)).toBe(label);
  });

  it('is bounded', () => {
    expect(sourceLabel(mqtt('x/'.repeat(500)))).toHaveLength(200);
  });

  it('comes with what the source reports', async () => {
    const site = await openSite();
    await site.runtime.applyJobs([desired('a', 1, { source: 'press' })]);
    expect(site.runtime.sourceReports()).toMatchObject([{ id: 'press', label: 'press/+' }]);
  });
});
