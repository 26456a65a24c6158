/** Every kind of sink. An explicit list: importing a sink registers nothing. */
import type { SinkSpec } from '../sink-definition.ts';
import { type AlertsSinkConfig, alertsSink } from './alerts.ts';
import { type FileSinkConfig, fileSink } from './file.ts';
import { type MqttSinkConfig, mqttSink } from './mqtt.ts';
import { type ResultsSinkConfig, resultsSink } from './results.ts';

export const sinks: readonly SinkSpec[] = [resultsSink, alertsSink, mqttSink, fileSink];

/** A sink of a job, with the defaults filled in. */
export type SinkDefinition = {
  /** A step's id, or `late`. */
  readonly from: string;
} & (
  | { readonly kind: 'results'; readonly config: ResultsSinkConfig }
  | { readonly kind: 'alerts'; readonly config: AlertsSinkConfig }
  | { readonly kind: 'mqtt'; readonly config: MqttSinkConfig }
  | { readonly kind: 'file'; readonly config: FileSinkConfig }
);
