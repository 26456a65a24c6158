/**
 * A device as the control plane meets it: enrols over HTTP, connects with its own credentials,
 * says what a test wants it to say. It runs no jobs; the agent itself is tested elsewhere.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import type { DesiredDocument, DesiredReply } from '@runnel/shared/protocol/desired.ts';
import type { EnrolReply, Labels } from '@runnel/shared/protocol/enrolment.ts';
import type { Heartbeat, JobReport, SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { MarkReply, Row } from '@runnel/shared/protocol/results.ts';
import type { BatchCommand, BatchOutcome, CommandAnswer } from '@runnel/shared/protocol/runs.ts';
import { subjects } from '@runnel/shared/protocol/subjects.ts';
import type { TestControlPlane } from './control-plane.ts';
import { type DeviceKey, enrolRequestOf, newDeviceKey, openConnection } from './nats.ts';

/** What a device makes of a command: the parts of an outcome that matter, or its refusal. */
export type BatchAnswer =
  | Partial<BatchOutcome>
  | { readonly code: string; readonly message: string };

export class Device {
  readonly id: AgentId;
  readonly reply: EnrolReply;
  readonly key: DeviceKey;
  /** Commands that came, by name. */
  readonly commands: { readonly name: string; readonly body: unknown }[] = [];
  readonly #connection: NatsConnection;
  #seq = 0;
  #sent = 0;
  #last: unknown;
  #answer: (command: BatchCommand) => BatchAnswer | null = () => null;

  static async join(
    control: TestControlPlane,
    described: { readonly name?: string; readonly labels?: Labels; readonly token?: string } = {},
  ): Promise<Device> {
    const token = described.token ?? (await control.joinToken());
    const key = newDeviceKey();
    const answer = await control.post('/enroll', enrolRequestOf(key, token, described), {
      token: null,
    });
    if (answer.status !== 200) throw new Error(answer.text);
    const reply = answer.json as EnrolReply;
    if (reply.credentials === null) throw new Error('waits for approval');
    return new Device(reply, key, await openConnection(reply.credentials, key, reply.agent));
  }

  private constructor(reply: EnrolReply, key: DeviceKey, connection: NatsConnection) {
    this.id = reply.agent as AgentId;
    this.reply = reply;
    this.key = key;
    this.#connection = connection;
    connection.subscribe(subjects.commands(this.id), {
      callback: (error, message) => {
        if (error !== null) return;
        const name = message.subject.split('.').at(-1) ?? '';
        const body: unknown = message.json();
        this.commands.push({ name, body });
        if (name === 'batch') this.#answerBatch(body as BatchCommand);
      },
    });
  }

  /** Resolves when the server or this side ended the connection. */
  get closed(): Promise<void | Error> {
    return this.#connection.closed();
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** What it says to commands about runs from now on; null: nothing. */
  answering(answer: (command: BatchCommand) => BatchAnswer | null): void {
    this.#answer = answer;
  }

  /** Sends an answer to a command, whoever was asked. */
  async answer(answer: CommandAnswer): Promise<void> {
    await this.#request('answer', answer);
  }

  async beat(more: Partial<Heartbeat> = {}): Promise<void> {
    this.#seq += 1;
    const body = JSON.stringify(heartbeatOf(this.id, this.#seq, more));
    this.#connection.publish(subjects.heartbeat(this.id), body);
    await this.#connection.flush();
  }

  async askDesired(more: object = {}): Promise<DesiredReply> {
    const body = { v: 1, agent: this.id, hash: '', revision: 0, told: 0, ...more };
    return await this.#request('desired', body);
  }

  /** The document that it is to apply. */
  async desired(): Promise<DesiredDocument> {
    const reply = await this.askDesired();
    if (reply.status !== 'new') throw new Error(`answered ${reply.status}`);
    return JSON.parse(reply.desired.payload) as DesiredDocument;
  }

  /** Sends rows of the lane `results`; returns the mark. */
  async send(rows: readonly Partial<Row>[]): Promise<number> {
    const after = this.#sent;
    const full = rows.map((row) => rowOf((this.#sent += 1), row));
    const body = {
      v: 1,
      agent: this.id,
      epoch: 'e1',
      lane: 'results',
      after,
      last: this.#sent,
      lost: 0,
      rows: full,
    };
    this.#last = body;
    return (await this.#request<MarkReply>('results', body)).mark;
  }

  /** The block that was sent last, again. */
  async resend(): Promise<number> {
    return (await this.#request<MarkReply>('results', this.#last)).mark;
  }

  #answerBatch(command: BatchCommand): void {
    const said = this.#answer(command);
    if (said === null) return;
    const outcome = { runs: [], partitions: [], lines: [], open: false };
    const body: CommandAnswer =
      'code' in said
        ? { v: 1, agent: this.id, id: command.id, outcome: null, error: said }
        : { v: 1, agent: this.id, id: command.id, outcome: { ...outcome, ...said }, error: null };
    this.#connection.publish(subjects.request(this.id, 'answer'), JSON.stringify(body), {
      reply: `${subjects.inboxPrefix(this.id)}.answered`,
    });
  }

  async #request<T>(kind: 'desired' | 'results' | 'answer', body: unknown): Promise<T> {
    const subject = subjects.request(this.id, kind);
    const reply = await this.#connection.request(subject, JSON.stringify(body), { timeout: 5000 });
    return reply.json<T>();
  }
}

export function sourceReportOf(more: Partial<SourceReport>): SourceReport {
  return {
    id: 'host-1',
    kind: 'host',
    connected: true,
    records: 0,
    bytes: 0,
    redelivered: 0,
    dropped: {},
    error: null,
    ...more,
  };
}

export function jobReportOf(more: Partial<JobReport>): JobReport {
  return {
    name: 'press',
    version: 1,
    phase: 'running',
    attempted: null,
    watermark: null,
    lagRecords: 0,
    recordsIn: 0,
    recordsOut: 0,
    late: 0,
    deadLetters: 0,
    dropped: {},
    stateKeys: 0,
    ...more,
  };
}

export function heartbeatOf(agent: string, seq: number, more: Partial<Heartbeat> = {}): Heartbeat {
  return {
    v: 1,
    agent,
    epoch: 'process-1',
    seq,
    sentAt: Date.now(),
    startedAt: 1,
    intervalMs: 10_000,
    agentVersion: '0.1.0',
    platform: { os: 'linux', arch: 'x64', node: '20' },
    capabilities: [],
    observedRevision: 0,
    observedHash: '',
    conditions: [],
    jobs: [],
    sources: [],
    outbox: { rows: 0, bytes: 0, oldestAt: null, lost: 0 },
    counters: {},
    host: {
      cpuPercent: 12.5,
      memoryUsedBytes: 1,
      memoryTotalBytes: 2,
      diskUsedBytes: 1,
      diskTotalBytes: 2,
      temperatureCelsius: null,
      load1: 0.5,
      agentRssBytes: 50_000_000,
      agentCpuPercent: 1,
    },
    ...more,
  };
}

export function rowOf(seq: number, more: Partial<Row> = {}): Row {
  return {
    seq,
    kind: 'result',
    job: 'press',
    version: 1,
    step: 'rms',
    dataset: 'rms',
    key: 'p1',
    windowStart: null,
    windowEnd: null,
    time: seq,
    revision: 1,
    value: { n: seq },
    at: seq,
    ...more,
  };
}
