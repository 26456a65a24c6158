/**
 * A control plane that serves archives, and devices that join it by the one line that it gives. The
 * devices are home directories: what an installer without root rights sees of a machine.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ControlPlaneOptions } from '@runnel/control-plane/main.ts';
import { TestControlPlane } from './control-plane.ts';
import { waitFor } from './wait-for.ts';

const execute = promisify(execFile);

/** A job that brings a result by itself, wherever it runs. */
export const ticksJob = `apiVersion: runnel/v1
kind: StreamJob
metadata: { name: ticks }
sources: { host: { host: { every: 1s } } }
steps: [{ id: pass, filter: "true" }]
sinks: [{ from: pass, results: { dataset: ticks } }]
`;

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A program to its end, however it ends. */
export async function ended(
  program: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly uid?: number; readonly cwd?: string } = {},
): Promise<Ended> {
  const { uid, ...more } = options;
  const user = uid === undefined ? {} : { uid, gid: uid };
  try {
    const { stdout, stderr } = await execute(program, args, { ...more, ...user });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

interface FleetAgent {
  readonly id: string;
  readonly name: string;
  readonly connection: string;
}

/** When it is not as it listens. */
interface Reached extends Pick<Partial<ControlPlaneOptions>, 'nats' | 'publicUrl'> {
  /** PEM of the CA of `publicUrl`. */
  readonly publicCa?: string;
}

export class Plant {
  readonly control: TestControlPlane;
  readonly packages: string;
  readonly #dir: string;

  /** `prepare` fills the folder of archives; `reached`: how devices reach it. */
  static async start(
    prepare: (packages: string) => Promise<unknown>,
    { publicCa, ...reached }: Reached = {},
  ): Promise<Plant> {
    const dir = mkdtempSync(join(tmpdir(), 'runnel-plant-'));
    chmodSync(dir, 0o755);
    const packages = join(dir, 'packages');
    await prepare(packages);
    const choice = { folder: packages, releaseKey: undefined, publicCa };
    const options = { ...reached, packages: choice };
    return new Plant(dir, packages, await TestControlPlane.start(undefined, options));
  }

  private constructor(dir: string, packages: string, control: TestControlPlane) {
    this.#dir = dir;
    this.packages = packages;
    this.control = control;
  }

  async close(): Promise<void> {
    await this.control.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** The one line of a new token. */
  async line(): Promise<string> {
    const made = await this.control.post('/tokens', { role: 'agent', uses: 1 });
    const { command, problem } = made.json.install as { command: string; problem: string };
    if (command === null) throw new Error(problem);
    return command;
  }

  home(name: string): Home {
    const path = join(this.#dir, name);
    mkdirSync(path);
    mkdirSync(`${path}.tmp`, { mode: 0o777 });
    return new Home(path);
  }

  async online(name: string, deadlineMs = 60_000): Promise<FleetAgent> {
    return await waitFor(
      `${name} to be online`,
      async () => {
        const { items } = (await this.control.get('/agents')).json as { items: FleetAgent[] };
        return items.find((agent) => agent.name === name && agent.connection === 'online');
      },
      deadlineMs,
    );
  }
}

/** Nobody in particular, so that root rights cannot help. */
const USER = process.getuid?.() === 0 ? 54_321 : undefined;

export class Home {
  readonly path: string;
  readonly data: string;
  readonly releases: string;

  constructor(path: string) {
    this.path = path;
    this.data = join(path, '.local/share/runnel/data');
    this.releases = join(path, '.local/share/runnel/agent');
    if (USER === undefined) return;
    for (const folder of [path, `${path}.tmp`]) chownSync(folder, USER, USER);
  }

  /** Runs the one line, with further options of the installer. */
  async install(line: string, ...options: readonly string[]): Promise<Ended> {
    const here = line.replace('$(command -v sudo) ', '');
    return await this.#run('sh', ['-c', [here, ...options].join(' ')]);
  }

  async agent(...args: readonly string[]): Promise<Ended> {
    return await this.#run(join(this.path, '.local/bin/runnel-agent'), args);
  }

  async status(): Promise<{ readonly running: boolean; readonly pid: number; agent: string }> {
    return JSON.parse((await this.agent('status', '-o', 'json')).out);
  }

  /** For the end of a test that failed half way. */
  async stop(): Promise<void> {
    const file = join(this.data, '.supervise/supervise.pid');
    if (!existsSync(file)) return;
    const pid = Number(readFileSync(file, 'utf8'));
    process.kill(pid, 'SIGTERM');
    await waitFor('the supervisor to end', () => !existsSync(file), 30_000);
  }

  async #run(program: string, args: readonly string[]): Promise<Ended> {
    const { PATH } = process.env;
    const env = { PATH, HOME: this.path, TMPDIR: `${this.path}.tmp` };
    return await ended(program, args, {
      env,
      cwd: this.path,
      ...(USER === undefined ? {} : { uid: USER }),
    });
  }
}
