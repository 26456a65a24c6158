/** A control plane and real agents that enrol with it, for the tests of batch jobs end to end. */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { stringify } from 'yaml';
import { bundleTool, repository, start, type Started } from '../../support/processes.ts';
import { childEntry } from '../../support/child-entry.ts';
import { waitFor } from '../../support/wait-for.ts';
import { verifyEntry } from '../../agent/checkpoints/verify-entry.ts';

export interface Agent {
  readonly name: string;
  readonly data: string;
  process: Started;
  startAgain(): void;
}

export interface Servers {
  readonly url: string;
  joinToken(): Promise<string>;
}

export class Agents {
  readonly #dir: string;
  readonly #cli = bundleTool('agent/cli/main.ts');
  readonly #run = bundleTool('test/e2e/batch/device-agent.ts');
  readonly #all: Agent[] = [];

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Enrolled and started; `without` names packages that are not installed there. */
  async start(
    servers: Servers,
    name: string,
    without: readonly string[] = [],
    commands: readonly string[] = ['/bin/sh'],
  ): Promise<Agent> {
    const data = join(this.#dir, name);
    const token = await servers.joinToken();
    const args = ['--url', servers.url, '--token', token, '--data', data, '--name', name];
    const enrolled = start(this.#cli, ['enroll', ...args], join(this.#dir, `${name}-enroll.log`));
    await waitFor('the enrolment', () => !enrolled.running(), 30_000);
    if (enrolled.child.exitCode !== 0) throw new Error(enrolled.output());
    const policy = { apiVersion: 'runnel/v1', kind: 'AgentPolicy', commands };
    writeFileSync(join(data, 'policy.yaml'), stringify(policy));
    const script = without.length === 0 ? this.#run : this.#installedWithout(name, without);
    const env = { RUNNEL_VERIFY_ENTRY: await verifyEntry(), RUNNEL_CHILD_ENTRY: childEntry() };
    const log = join(this.#dir, `${name}.log`);
    const run = (): Started => start(script, ['--data', data], log, env);
    const agent: Agent = {
      name,
      data,
      process: run(),
      startAgain() {
        agent.process = run();
      },
    };
    this.#all.push(agent);
    return agent;
  }

  async stop(): Promise<void> {
    for (const { process } of this.#all) await process.end('SIGTERM');
  }

  logs(): string {
    return this.#all.map(({ name, process }) => `${name}\n${process.output()}`).join('\n');
  }

  /** The agent among packages of its own: every one of the repository's but these. */
  #installedWithout(name: string, without: readonly string[]): string {
    const folder = join(this.#dir, `${name}-program`);
    const modules = join(folder, 'node_modules');
    mkdirSync(modules, { recursive: true });
    for (const each of readdirSync(join(repository, 'node_modules'))) {
      if (each.startsWith('.') || without.includes(each)) continue;
      symlinkSync(join(repository, 'node_modules', each), join(modules, each));
    }
    const script = join(folder, basename(this.#run));
    copyFileSync(this.#run, script);
    return script;
  }
}

/** Command lines of running processes that name this. */
export function programs(text: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return line.includes(text) ? [line] : [];
    } catch (error) {
      // It has ended meanwhile.
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ESRCH') return [];
      throw error;
    }
  });
}
