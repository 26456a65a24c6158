/**
 * A device for the crash runs of batch jobs: an agent as a process on a data directory of its own,
 * with a desired state that a signing authority of the tests has signed, and no control plane. What
 * goes up stays in the outbox, where the audit reads it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { dataFiles } from '@runnel/agent/config/data-files.ts';
import { ensureSeed } from '@runnel/agent/config/identity-files.ts';
import { askStatus } from '@runnel/agent/resources/ask-status.ts';
import { DesiredStore } from '@runnel/agent/sync/desired.ts';
import { TrustStore } from '@runnel/agent/sync/trust-store.ts';
import type { AgentId } from '@runnel/shared/ids.ts';
import type { DesiredJob } from '@runnel/shared/protocol/desired.ts';
import type { JobReport } from '@runnel/shared/protocol/heartbeat.ts';
import { start, type Started } from '../../support/processes.ts';
import { SigningAuthority } from '../../support/signing-authority.ts';
import { waitFor } from '../../support/wait-for.ts';
import { COMMANDS, readingsCsv } from './crash-job.ts';

export interface DeviceOptions {
  readonly dir: string;
  /** The agent, bundled; see ./device-agent.ts. */
  readonly script: string;
  readonly env: Readonly<Record<string, string>>;
  readonly jobs: readonly DesiredJob[];
}

const AGENT = 'device1';

export class CrashDevice {
  readonly dataDir: string;
  readonly #options: DeviceOptions;
  #agent: Started;
  /** Where the log of the agent that runs now begins. */
  #startedAt = 0;
  kills = { agent: 0, child: 0 };

  static async start(options: DeviceOptions): Promise<CrashDevice> {
    const dataDir = join(options.dir, 'data');
    await mkdir(join(dataDir, 'work'), { recursive: true });
    await writeFile(join(dataDir, 'work/readings.csv'), readingsCsv());
    await enrolled(dataDir, options.jobs);
    return new CrashDevice(options, dataDir);
  }

  private constructor(options: DeviceOptions, dataDir: string) {
    this.#options = options;
    this.dataDir = dataDir;
    this.#agent = this.#start();
  }

  /** SIGKILL, and started again when it is gone. */
  async killAgent(): Promise<void> {
    this.kills.agent++;
    await this.#agent.end('SIGKILL');
    this.#startedAt = this.log().length;
    this.#agent = this.#start();
  }

  /** Resolves when the agent that runs now has its jobs: busy machines start it in seconds. */
  async working(): Promise<void> {
    await waitFor('the agent to have its jobs', () => this.said('desired state applied'), 30_000);
  }

  /** Whether the agent that runs now has written this. */
  said(text: string): boolean {
    return this.log().includes(text, this.#startedAt);
  }

  /** SIGKILL of one of its children, if it has any. */
  killChild(pick: (count: number) => number): void {
    const children = childrenOf(this.#agent.child.pid ?? 0);
    const pid = children[pick(children.length)];
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGKILL');
      this.kills.child++;
    } catch (error) {
      // It has ended meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  async jobs(): Promise<readonly JobReport[]> {
    const status = await askStatus(this.dataDir);
    return (status?.jobs as readonly JobReport[] | undefined) ?? [];
  }

  async stop(): Promise<void> {
    await this.#agent.end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#agent.end('SIGKILL');
  }

  log(): string {
    return this.#agent.output();
  }

  /** Processes that know of this device's directory: by their command, variables or directory. */
  processes(): string[] {
    const wanted = Buffer.from(this.dataDir);
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((pid) => ['cmdline', 'environ'].some((of) => readProc(pid, of)?.includes(wanted)))
      .map((pid) => `${pid}: ${readProc(pid, 'cmdline')?.toString().replaceAll('\0', ' ')}`);
  }

  #start(): Started {
    const { dir, env, script } = this.#options;
    return start(script, ['--data', this.dataDir], join(dir, 'agent.log'), env);
  }
}

async function enrolled(dataDir: string, jobs: readonly DesiredJob[]): Promise<void> {
  const authority = new SigningAuthority();
  const files = dataFiles(dataDir);
  const rootFingerprint = authority.fingerprint;
  await ensureSeed(files);
  const head = (kind: string): object => ({ apiVersion: 'runnel/v1', kind });
  const agentYaml = {
    ...head('AgentConfig'),
    identity: { agent: AGENT, name: 'device-1', labels: {}, rootFingerprint },
    // Nobody listens there.
    servers: { controlPlane: 'http://127.0.0.1:1' },
    log: { level: 'debug' },
  };
  await writeFile(files.agentYaml, stringify(agentYaml));
  const policy = { ...head('AgentPolicy'), commands: COMMANDS };
  await writeFile(files.policyYaml, stringify(policy));
  const trust = new TrustStore({ files, rootFingerprint, stored: null });
  const store = new DesiredStore({ agent: AGENT as AgentId, trust, path: files.desired });
  await store.accept(authority.desired({ agent: AGENT, jobs: [...jobs] }));
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = readProc(name, 'stat')?.toString('latin1');
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
    return Number(fields[1]) === parent && fields[0] !== 'Z' ? [Number(name)] : [];
  });
}

function readProc(pid: string, name: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}
