/** What devices write reaches the operators' terminal as text that does nothing to it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestControlPlane } from '../../support/control-plane.ts';
import { BATCH, DATASET, evil, HostileFleet, RUN, STREAM } from '../../support/hostile-fleet.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Ran, type RanOptions, runnel } from './cli-terminal.ts';

let control: TestControlPlane;
let fleet: HostileFleet;

beforeAll(async () => {
  control = await TestControlPlane.start();
  fleet = await HostileFleet.start(control);
  await waitFor('the report', async () => {
    return (await control.get(`/agents/${fleet.device.id}`)).json.conditions.length === 2;
  });
});

afterAll(async () => {
  await fleet.device.close();
  await control.close();
});

const run = (args: readonly string[], options: RanOptions = {}): Promise<Ran> => {
  const env = { RUNNEL_URL: control.url, RUNNEL_TOKEN: control.adminToken };
  return runnel(args, { env, ...options });
};

/** Commands that show what is known, and a word of the hostile text in each. */
const shown = (): readonly (readonly [string, readonly string[]])[] => [
  ['onerror', ['get', 'agents']],
  [STREAM, ['get', 'jobs']],
  ['onerror', ['get', 'datasets']],
  ['onerror', ['get', 'alerts']],
  [STREAM, ['get', 'versions', STREAM]],
  ['condition', ['describe', 'agent', fleet.device.id]],
  ['description', ['describe', 'job', STREAM]],
  ['refusal', ['describe', 'job', BATCH]],
  ['onerror', ['describe', 'run', RUN]],
  ['onerror', ['runs', BATCH]],
  ['onerror', ['logs', RUN]],
  ['key', ['results', 'evil-results']],
  ['onerror', ['results', DATASET]],
];

/** Everything that a terminal would act on, or that turns text around. */
const ACTIVE = /[^\P{Cc}\n\t]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

const ESC = '\u001B';
const COLOUR = new RegExp(`${ESC}\\[\\d{1,2}m`, 'g');

describe('what a hostile device wrote', () => {
  it('is inert in every command, for people and for programs', async () => {
    for (const [word, args] of shown()) {
      for (const output of ['table', 'json', 'jsonl', 'yaml']) {
        const { code, out, err } = await run([...args, '-o', output]);
        const what = `${args[0]} ${args[1]} -o ${output}`;
        if (code === 2 && /choices|unknown option/.test(err)) continue;
        expect(`${code} ${err}`, what).toBe('0 ');
        expect(out, what).toContain(word);
        expect(ACTIVE.exec(out), what).toBeNull();
      }
    }
  });

  it('is inert for a person whose terminal has colours: only ours are left', async () => {
    for (const [, args] of shown()) {
      const { out } = await run(args, { interactive: true, columns: 400 });
      const uncoloured = out.replaceAll(COLOUR, '');
      expect(ACTIVE.exec(uncoloured), args.join(' ')).toBeNull();
    }
  });

  it('comes whole to a program that reads JSON', async () => {
    const agent = JSON.parse((await run(['describe', 'agent', fleet.device.id, '-o', 'json'])).out);
    expect(agent.conditions[0].message).toBe(evil('condition'));
    const lines = (await run(['results', 'evil-results', '-o', 'jsonl'])).out.trim().split('\n');
    const [first] = lines.map((line) => JSON.parse(line));
    expect(first.value[evil('field')]).toBe(evil('text'));
  });

  it('is inert in errors, also in what the command line was given', async () => {
    for (const args of [
      ['describe', 'agent', evil('agent')],
      ['results', evil('none')],
      ['get', evil('what')],
      ['runs', BATCH, `--${evil('option')}`],
      ['cancel', RUN],
    ]) {
      const { code, out, err } = await run(args);
      expect(code, args[0]).not.toBe(0);
      expect(err).not.toBe('');
      expect(ACTIVE.exec(out + err), args.join(' ')).toBeNull();
    }
  });

  it('does not come in under a name that would act on a terminal', async () => {
    const token = await control.joinToken();
    const joined = import('../../support/device.ts').then(({ Device }) =>
      Device.join(control, { name: 'x\u001B[2J', token }),
    );
    await expect(joined).rejects.toThrow(/control characters/);
  });
});
