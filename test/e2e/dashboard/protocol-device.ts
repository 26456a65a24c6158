/**
 * A device by protocol alone: it enrols over HTTP and sends heartbeats over the real NATS with the
 * credentials that it got. What it reports is up to the test, so that every state can be shown.
 */
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { createUser, type KeyPair } from '@nats-io/nkeys';
import { onTestFinished } from 'vitest';
import type { AgentId } from '@runnel/shared/ids.ts';
import { type EnrolReply, enrolmentProof } from '@runnel/shared/protocol/enrolment.ts';
import type { Heartbeat, JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import type { MarkReply, ResultBlock, Row } from '@runnel/shared/protocol/results.ts';
import { subjects } from '@runnel/shared/protocol/subjects.ts';
import { PROTOCOL_VERSION } from '@runnel/shared/protocol/version.ts';

export interface EnrolledDevice {
  readonly key: KeyPair;
  readonly reply: EnrolReply;
}

const PLATFORM = { os: 'linux', arch: 'arm64', node: '20.19.0' };

export async function enrolDevice(
  url: string,
  token: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<EnrolledDevice> {
  const key = createUser();
  const publicKey = key.getPublicKey();
  const at = Date.now();
  const text = enrolmentProof({ token, publicKey, name, at });
  const response = await fetch(`${url}/api/v1/enroll`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      v: PROTOCOL_VERSION,
      token,
      publicKey,
      name,
      labels,
      agentVersion: '0.1.0',
      platform: PLATFORM,
      at,
      proof: Buffer.from(key.sign(Buffer.from(text))).toString('base64url'),
    }),
  });
  if (!response.ok) throw new Error(`enrol ${name}: ${response.status} ${await response.text()}`);
  return { key, reply: (await response.json()) as EnrolReply };
}

export class ProtocolDevice {
  readonly id: AgentId;
  readonly #connection: NatsConnection;
  #seq = 0;

  private constructor(id: AgentId, connection: NatsConnection) {
    this.id = id;
    this.#connection = connection;
  }

  static async connect({ key, reply }: EnrolledDevice): Promise<ProtocolDevice> {
    if (reply.credentials === null) throw new Error(`${reply.name} waits for approval`);
    const { jwt, natsUrls } = reply.credentials;
    const connection = await connect({
      servers: natsUrls.map((url) => url.replace(/^(nats|tls):\/\//, '')),
      authenticator: jwtAuthenticator(jwt, key.getSeed()),
      inboxPrefix: subjects.inboxPrefix(reply.agent as AgentId),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
    });
    onTestFinished(() => connection.close());
    return new ProtocolDevice(reply.agent as AgentId, connection);
  }

  /** One heartbeat; `intervalMs` says for how long it holds. */
  async beat(change: Partial<Heartbeat> = {}): Promise<void> {
    this.#seq += 1;
    const now = Date.now();
    const heartbeat: Heartbeat = {
      v: PROTOCOL_VERSION,
      agent: this.id,
      epoch: 'epoch0000000000',
      seq: this.#seq,
      sentAt: now,
      startedAt: now - 60_000,
      intervalMs: 60_000,
      agentVersion: '0.1.0',
      platform: PLATFORM,
      capabilities: [],
      observedRevision: 0,
      observedHash: '',
      conditions: [],
      jobs: [],
      sources: [],
      outbox: { rows: 0, bytes: 0, oldestAt: null, lost: 0 },
      counters: {},
      host: hostReading(this.#seq),
      ...change,
    };
    this.#connection.publish(subjects.heartbeat(this.id), JSON.stringify(heartbeat));
    await this.#connection.flush();
  }

  /** One block of results, answered once it is in the store. */
  async sendResults(rows: readonly Row[]): Promise<void> {
    const block: ResultBlock = {
      v: PROTOCOL_VERSION,
      agent: this.id,
      epoch: 'epoch0000000000',
      lane: 'results',
      after: 0,
      last: rows.length,
      lost: 0,
      rows: [...rows],
    };
    const reply = await this.#connection.request(
      subjects.request(this.id, 'results'),
      JSON.stringify(block),
      { timeout: 10_000 },
    );
    const { mark } = reply.json<MarkReply>();
    if (mark !== rows.length) throw new Error(`the mark is ${mark}, not ${rows.length}`);
  }
}

function hostReading(seq: number): Heartbeat['host'] {
  return {
    cpuPercent: 20 + (seq % 10),
    memoryUsedBytes: 6e8,
    memoryTotalBytes: 1e9,
    diskUsedBytes: 8e9,
    diskTotalBytes: 16e9,
    temperatureCelsius: null,
    load1: 0.5,
    agentRssBytes: 6e7,
    agentCpuPercent: 2,
  };
}

export function jobReport(change: Partial<JobReport> & { readonly name: string }): JobReport {
  return {
    version: 1,
    phase: 'running',
    attempted: null,
    watermark: Date.now() - 5000,
    lagRecords: 0,
    recordsIn: 1000,
    recordsOut: 10,
    late: 0,
    deadLetters: 0,
    dropped: {},
    stateKeys: 4,
    ...change,
  };
}
