/**
 * Desired states that somebody between control plane and device made or changed (I9): each field of
 * a signed one altered, and whole ones forged or sent again, given to a whole agent whose job runs.
 */
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openRuntime } from '@runnel/agent/agent-parts.ts';
import { composeAgent, type RunningAgent } from '@runnel/agent/compose-agent.ts';
import { agentConfig } from '@runnel/agent/config/agent-config.ts';
import { dataFiles } from '@runnel/agent/config/data-files.ts';
import { Conditions } from '@runnel/agent/resources/conditions.ts';
import { verifyDesired } from '@runnel/agent/sync/desired.ts';
import { deviceKey } from '@runnel/agent/sync/device-key.ts';
import { connectLink } from '@runnel/agent/sync/nats-link.ts';
import { TrustStore } from '@runnel/agent/sync/trust-store.ts';
import { EventWriter } from '@runnel/control-plane/intake/event-writer.ts';
import { FleetHealth } from '@runnel/control-plane/intake/fleet-health.ts';
import { Intake } from '@runnel/control-plane/intake/intake.ts';
import { systemClock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import { defaultPolicy } from '@runnel/shared/policy/agent-policy.ts';
import type { DesiredDocument, SignedDesired } from '@runnel/shared/protocol/desired.ts';
import { textHash } from '@runnel/shared/protocol/signing.ts';
import { type Random, systemRandom } from '@runnel/shared/random.ts';
import { enrolledDevice, openControlSide, silentLog } from '../../support/nats.ts';
import { SigningAuthority, testKey } from '../../support/signing-authority.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { verifyEntry } from '../checkpoints/verify-entry.ts';

/** A job that passes the lines of a file on. */
const lines = (filter = 'payload.n >= 0', version = 1) => {
  const document = {
    apiVersion: 'runnel/v1',
    kind: 'StreamJob',
    metadata: { name: 'lines' },
    sources: { lines: { file: { path: 'files/in.jsonl', every: '20ms' } } },
    steps: [{ id: 'pass', filter }],
    sinks: [{ from: 'pass', results: { dataset: 'lines' } }],
  };
  const hash = textHash(JSON.stringify(document));
  return { name: 'lines', version, hash, document, parameters: {}, paused: false };
};

const REFUSALS = [
  'signature_invalid',
  'keys_signature',
  'key_unknown',
  'root_mismatch',
  'protocol',
  'protocol_version',
];

describe('a signed document of which anything was changed', () => {
  const authority = new SigningAuthority();
  const agent = 'press1' as AgentId;
  const tables = [{ name: 'machines', version: 1, hash: 'h' }];
  const jobs = [{ ...lines(), parameters: { low: 1 } }];
  const signed = authority.desired({ agent, revision: 3, jobs, tables });
  const verify = (given: SignedDesired) => {
    const { fingerprint: rootFingerprint } = authority;
    return verifyDesired({ agent, rootFingerprint, sequence: 0, revision: 0, hash: '' }, given);
  };
  const refusalOf = (given: SignedDesired): string => {
    try {
      return `taken: revision ${verify(given).document.revision}`;
    } catch (error) {
      return error instanceof RunnelError ? error.code : String(error);
    }
  };

  /** The same value once for every leaf in it, with that leaf changed, and once with it gone. */
  function* altered(value: unknown): Generator<unknown> {
    if (Array.isArray(value)) {
      yield [...value, ...value.slice(0, 1)];
      for (const at of value.keys()) {
        yield value.toSpliced(at, 1);
        for (const other of altered(value[at])) yield value.with(at, other);
      }
    } else if (typeof value === 'object' && value !== null) {
      yield { ...value, extra: 1 };
      for (const [key, inner] of Object.entries(value)) {
        yield Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
        for (const other of altered(inner)) yield { ...value, [key]: other };
      }
    } else if (typeof value === 'string') {
      yield `${value}x`;
      yield '';
    } else if (typeof value === 'number') {
      yield value + 1;
      yield -value;
    } else yield value !== true;
  }

  it('is refused, field by field, also those inside of jobs', () => {
    expect(verify(signed).document.revision).toBe(3);
    let tried = 0;
    const expectRefused = (given: SignedDesired): void => {
      expect(REFUSALS, JSON.stringify(given)).toContain(refusalOf(given));
      tried += 1;
    };
    for (const other of altered(JSON.parse(signed.payload))) {
      const payload = JSON.stringify(other);
      if (payload !== signed.payload) expectRefused({ ...signed, payload });
    }
    for (const other of altered(JSON.parse(signed.keys.payload))) {
      const payload = JSON.stringify(other);
      expectRefused({ ...signed, keys: { ...signed.keys, payload } });
    }
    for (const signature of altered(signed.signature)) {
      expectRefused({ ...signed, signature: `A${String(signature)}` });
    }
    expectRefused({ ...signed, keyId: 'k2' });
    expectRefused({ ...signed, keys: { ...signed.keys, signature: signed.signature } });
    expectRefused({ ...signed, signature: signed.keys.signature });
    expect(tried).toBeGreaterThan(50);
  });

  it('is refused, character by character', () => {
    const text = fc.constantFrom('payload', 'keys');
    fc.assert(
      fc.property(text, fc.nat(), fc.integer({ min: 32, max: 126 }), (where, position, code) => {
        const old = where === 'keys' ? signed.keys.payload : signed.payload;
        const at = position % old.length;
        const payload = old.slice(0, at) + String.fromCharCode(code) + old.slice(at + 1);
        fc.pre(payload !== old);
        const bent = where === 'keys' ? { keys: { ...signed.keys, payload } } : { payload };
        expect(REFUSALS).toContain(refusalOf({ ...signed, ...bent }));
      }),
      { numRuns: 500 },
    );
  });
});

/** A whole agent on a real NATS server; what it is told to run is in the test's hand. */
class Site {
  readonly dir = tempDir('tampered');
  readonly authority = new SigningAuthority();
  readonly conditions = new Conditions(systemClock);
  agent!: RunningAgent;
  id!: AgentId;
  offered: SignedDesired | null = null;
  #told = 100;
  #lines = 0;
  #intake!: Intake;
  #storedLines: () => Promise<number> = () => Promise.resolve(0);

  static async start(): Promise<Site> {
    const site = new Site();
    await site.#start();
    return site;
  }

  async #start(): Promise<void> {
    const side = await openControlSide();
    const device = await enrolledDevice(side);
    this.id = device.agent as AgentId;
    const { db } = side.store;
    const shared = { db, clock: systemClock, log: silentLog };
    const events = new EventWriter(db, silentLog);
    this.#intake = Intake.start({
      ...shared,
      link: side.link,
      health: await FleetHealth.open({ ...shared, events }),
      isApproved: () => true,
      desired: () =>
        Promise.resolve(
          this.offered === null
            ? { v: 1, status: 'retry' }
            : { v: 1, status: 'new', desired: this.offered },
        ),
      renew: (agent) => side.identity.renewOverNats(agent),
    });
    onTestFinished(() => this.#intake.stop());
    this.#storedLines = async () => (await db.selectFrom('results').select('id').execute()).length;
    await side.link.flush();
    await this.#startAgent(device);
  }

  async #startAgent(device: Awaited<ReturnType<typeof enrolledDevice>>): Promise<void> {
    const dataDir = join(this.dir, 'agent');
    mkdirSync(join(dataDir, 'files'), { recursive: true });
    const { fingerprint: rootFingerprint } = this.authority;
    const config = agentConfig.parse({
      apiVersion: 'runnel/v1',
      kind: 'AgentConfig',
      identity: { agent: this.id, name: 'press-1', rootFingerprint },
      servers: { controlPlane: 'http://127.0.0.1:1' },
    });
    // Nothing is drawn: an agent that was told of a document asks for it at once.
    const random: Random = { ...systemRandom, next: () => 0 };
    const parts = { dataDir, config, policy: defaultPolicy, clock: systemClock, random };
    const shared = { ...parts, log: silentLog, conditions: this.conditions };
    const { runtime } = await openRuntime({
      ...shared,
      verifyEntry: await verifyEntry(),
      env: {},
    });
    this.agent = await composeAgent({
      ...shared,
      identity: {
        key: deviceKey(device.key.seed),
        credentials: device.credentials,
        trust: new TrustStore({ files: dataFiles(dataDir), rootFingerprint, stored: null }),
      },
      runtime,
      broker: null,
      connect: connectLink,
      post: () => Promise.reject(new RunnelError('unreachable', 'no http here')),
      capabilities: [],
    });
    onTestFinished(() => this.agent.close());
  }

  signed(revision: number, change: Partial<DesiredDocument> = {}, sequence = 5): SignedDesired {
    const { id: agent, authority } = this;
    return authority.desired({ agent, revision, jobs: [lines()], ...change }, sequence);
  }

  /** The agent is told of something newer, and gets this when it asks. */
  async offer(signed: SignedDesired): Promise<void> {
    this.offered = signed;
    this.#told += 1;
    await waitFor('the connection', () =>
      ['synced', 'settling'].includes(this.agent.sync.state.kind),
    );
    this.#intake.notifyChanged(this.id, this.#told);
  }

  refusal(): string | undefined {
    const found = this.conditions.list().find(({ type }) => type === 'desired');
    return found?.reason === 'DesiredRefused' ? found.message : undefined;
  }

  document(): string {
    return readFileSync(dataFiles(join(this.dir, 'agent')).desired, 'utf8');
  }

  /** One more record comes in, and its result reaches the store. */
  async goesOn(): Promise<void> {
    this.#lines += 1;
    const record = `${JSON.stringify({ n: this.#lines })}\n`;
    appendFileSync(join(this.dir, 'agent/files/in.jsonl'), record);
    const lines = this.#lines;
    await waitFor(`line ${lines}`, async () => (await this.#storedLines()) === lines);
  }

  async runs(revision: number, version: number): Promise<void> {
    await waitFor(`revision ${revision}`, async () => {
      const { jobs, observedRevision } = await this.agent.state();
      const [job] = jobs;
      return observedRevision === revision && job?.version === version && job.phase === 'running';
    });
  }
}

describe('an agent whose job runs', () => {
  it('refuses what was tampered with, says why, and the job goes on', async () => {
    const site = await Site.start();
    const { authority } = site;
    const stranger = testKey();
    const others = new SigningAuthority();
    const never = [lines('payload.n < 0', 2)];
    await site.offer(site.signed(7));
    await site.runs(7, 1);
    await site.goesOn();
    const accepted = site.document();

    const next = site.signed(8, { jobs: never });
    const forgedList = authority.keyList(6, [{ id: 'k1', publicKey: stranger.publicKey }]);
    const attacks: readonly (readonly [string, SignedDesired, RegExp])[] = [
      [
        'one field of its job changed',
        { ...next, payload: next.payload.replace('payload.n < 0', 'payload.n > 0') },
        /signature of the desired state does not verify/,
      ],
      ['its job removed', site.signed(6, { jobs: [] }), /revision 6 is older than 7/],
      [
        'signed by a key of nobody',
        { ...next, signature: stranger.sign(next.payload) },
        /signature of the desired state does not verify/,
      ],
      ['a key that is not on the list', { ...next, keyId: 'k9' }, /key k9 is not on/],
      [
        'a list that the root did not sign',
        {
          ...next,
          signature: stranger.sign(next.payload),
          keys: { ...forgedList, signature: stranger.sign(forgedList.payload) },
        },
        /not signed by the root key/,
      ],
      [
        'a whole chain of another root',
        others.desired({ agent: site.id, revision: 9, jobs: never }, 9),
        /not the one pinned at enrolment/,
      ],
      ['a list that was retired', site.signed(8, { jobs: never }, 4), /keys 4 is older than 5/],
      [
        'the document of another device',
        authority.desired({ agent: 'press2', revision: 9, jobs: never }, 5),
        /is for agent press2/,
      ],
      ['its own, of an earlier time', site.signed(3), /revision 3 is older than 7/],
      [
        'its own revision with other content',
        site.signed(7, { jobs: never }),
        /revision 7 came with other content/,
      ],
      ['of a newer protocol', authority.signedText('{"v":2}', 5), /protocol 2/],
    ];
    for (const [name, signed, why] of attacks) {
      await site.offer(signed);
      await waitFor(`the refusal: ${name}`, () => why.test(site.refusal() ?? ''));
      await site.goesOn();
      await site.runs(7, 1);
      expect(site.document(), name).toBe(accepted);
    }

    await site.offer(site.signed(8, { jobs: [lines('payload.n >= -1', 2)] }, 6));
    await site.runs(8, 2);
    await waitFor('the condition to go', () => site.refusal() === undefined);
    await site.goesOn();
    // From now on what was good before is old.
    await site.offer(site.signed(9, {}, 5));
    await waitFor('the refusal of the old list', () =>
      /5 is older than 6/.test(site.refusal() ?? ''),
    );
    await site.goesOn();
  }, 60_000);
});
