/**
 * What sync needs of a connection to its control plane; nats-link.ts is the one that exists. The
 * seam is here so that the state machine's shell can be driven through every order of events.
 */
import type { Clock } from '@runnel/shared/clock.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { Credentials } from '@runnel/shared/protocol/enrolment.ts';
import type { RequestKind } from '@runnel/shared/protocol/subjects.ts';
import type { DeviceKey } from './device-key.ts';
import type { Trouble } from './sync-state.ts';

export interface Link {
  /** Where it is connected to, for people. */
  readonly server: string;
  /** Resolves, never rejects, when the connection has ended for whatever reason. */
  readonly closed: Promise<Trouble>;
  /**
   * Asks the control plane; resolves with the reply's JSON, not yet parsed by a schema. Errors:
   * `no_responders`, `timeout`, `link_request`, `message_too_large`, `protocol`, or the code of
   * an error reply.
   */
  request(kind: RequestKind, body: Uint8Array, timeoutMs: number): Promise<unknown>;
  /** Publishes and forgets. */
  heartbeat(body: Uint8Array): void;
  /** Lets what is under way go out, for at most two seconds, and closes. */
  close(): Promise<void>;
}

export interface LinkOptions {
  readonly agent: AgentId;
  readonly credentials: Credentials;
  readonly key: DeviceKey;
  readonly clock: Clock;
  /** `name` is what follows `fleet.<agent>.cmd.`. */
  readonly onCommand: (name: string, body: Uint8Array) => void;
  /** The server did not let us publish or subscribe; the connection goes on. For people. */
  readonly onDenied: (message: string) => void;
}

export type Connector = (options: LinkOptions) => Promise<Link>;
