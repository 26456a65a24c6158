/**
 * Rows as MQTT messages: QoS 1, each acknowledged by the broker before the task succeeds; at least
 * once. A message is the row as JSON with an `id` that stays the same when it is sent again:
 * `<effect key>-<number of the row>`; a column `id` of the row stays as it is.
 */
import type { LoadTaskConfig } from '@runnel/shared/definitions/tasks/load.ts';
import { compileRowExpression, ROW_NAMES } from '@runnel/shared/definitions/row-expression.ts';
import { topicProblem } from '@runnel/shared/definitions/mqtt-topic.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import { embeddedOutlet } from '../../sinks/mqtt.ts';
import {
  MqttPublisher,
  type Publication,
  PublicationsRefused,
} from '../../sinks/mqtt-publisher.ts';
import type { TableRef } from '../records.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { brokerLink, clientIdOf, embeddedReady } from './broker-link.ts';
import { subjectOf } from './cursor.ts';

type MqttConfig = NonNullable<LoadTaskConfig['mqtt']>;

interface Outlet {
  publish(publications: readonly Publication[]): Promise<void>;
  close(): Promise<void>;
}

/** Messages sent between two looks at the signal. */
const PART = 256;

/** How many messages there were. */
export async function sendRows(
  config: MqttConfig,
  table: TableRef,
  context: TaskContext,
): Promise<number> {
  const topicOf = topics(config, context);
  const outlet = await openOutlet(config, context);
  const abort = (): void => {
    outlet.close().catch((error: unknown) => {
      context.log.warn(`the connection to the broker did not close: ${messageOf(error)}`);
    });
  };
  context.signal.addEventListener('abort', abort, { once: true });
  let sent = 0;
  try {
    for await (const rows of context.services.tables.read(table)) {
      for (let from = 0; from < rows.length; from += PART) {
        context.signal.throwIfAborted();
        const part = rows.slice(from, from + PART);
        await outlet.publish(
          part.map((row, index) => {
            const id = `${context.effectKey.slice(0, 32)}-${sent + index}`;
            const payload = JSON.stringify({ id, ...row });
            return { topic: topicOf(row), payload, qos: 1, retain: config.retain, id };
          }),
        );
        sent += part.length;
      }
    }
  } catch (error) {
    throw failure(error, context);
  } finally {
    context.signal.removeEventListener('abort', abort);
    await outlet.close();
  }
  return sent;
}

async function openOutlet(config: MqttConfig, context: TaskContext): Promise<Outlet> {
  const link = brokerLink(config, context);
  if (link.kind === 'external') {
    const { endpoint, resolveSecret } = link;
    const clientId = clientIdOf(context, 'task');
    return new MqttPublisher({ endpoint, clientId, resolveSecret, clock: context.clock });
  }
  await embeddedReady(link.broker, context);
  const outlet = embeddedOutlet(link.broker);
  return { publish: (each) => outlet.publish(each), close: () => outlet.leave() };
}

function topics(config: MqttConfig, context: TaskContext): (row: Row) => string {
  const { topic, topicOf } = config;
  if (topicOf === undefined) return () => topic ?? '';
  const { parameters } = context.program;
  const expression = compileRowExpression(topicOf, ROW_NAMES, parameters);
  return (row) => {
    let text: unknown;
    try {
      text = expression.evaluate(subjectOf({ row }));
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      throw new TaskError('data', 'mqtt_topic', `topicOf ${topicOf}: ${messageOf(error)}`);
    }
    const problem = typeof text === 'string' ? topicProblem(text) : 'it is no text';
    if (problem === undefined) return text as string;
    const told = `topicOf ${topicOf} gives ${JSON.stringify(text)?.slice(0, 100)}: ${problem}`;
    throw new TaskError('data', 'mqtt_topic', told);
  };
}

function failure(error: unknown, { signal }: TaskContext): TaskError {
  if (signal.aborted) return taskErrorOf(signal.reason);
  if (error instanceof TaskError) return error;
  if (error instanceof PublicationsRefused) {
    return new TaskError('rejected', 'mqtt_refused', messageOf(error), { cause: error });
  }
  return new TaskError('network', 'broker_unreachable', messageOf(error), { cause: error });
}
