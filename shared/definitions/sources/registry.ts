/** Every kind of source. An explicit list: importing a source registers nothing. */
import type { SourceCommon, SourceSpec } from '../source-definition.ts';
import { type FileSourceConfig, fileSource } from './file.ts';
import { type HostSourceConfig, hostSource } from './host.ts';
import { type MqttSourceConfig, mqttSource } from './mqtt.ts';

export const sources: readonly SourceSpec[] = [mqttSource, hostSource, fileSource];

/** The connector of a source: its kind, and its settings with the defaults filled in. */
export type SourceConnector =
  | { readonly kind: 'mqtt'; readonly config: MqttSourceConfig }
  | { readonly kind: 'host'; readonly config: HostSourceConfig }
  | { readonly kind: 'file'; readonly config: FileSourceConfig };

export type SourceDefinition = SourceCommon & SourceConnector;
