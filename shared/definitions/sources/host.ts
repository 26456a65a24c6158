/**
 * The device itself as a source: real input with nothing to set up.
 */
import { positiveDuration } from '../duration.ts';
import { type ConfigOf, defineSource } from '../source-definition.ts';

export const hostSource = defineSource({
  kind: 'host',
  summary: 'CPU, memory, disk, network, temperature and load of the device itself.',
  guarantees: [
    'One record per interval; readings that the platform does not offer are null, never zero.',
    'Readings while the agent is down are not made up: there is a gap.',
  ],
  record:
    '`payload` has `cpuPercent`, `memoryUsedBytes`, `memoryTotalBytes`, `diskUsedBytes`, ' +
    '`diskTotalBytes`, `temperatureCelsius`, `load1`, `agentRssBytes`, `agentCpuPercent`, ' +
    '`networkReceivedBytes`, `networkSentBytes` and `processors`; `topic` is `host`.',
  fields: {
    every: positiveDuration.prefault('10s').describe('Interval of the readings. Example: `5s`.'),
  },
  examples: [{ title: 'A reading every five seconds', yaml: 'device: { host: { every: 5s } }' }],
});

export type HostSourceConfig = ConfigOf<typeof hostSource>;
