/**
 * What a crash run has left behind, read from outside: files, tables, the receiver, the outbox. It
 * knows nothing of how the engine works; what must be there is what an undisturbed run has left,
 * and that is held against plain loops over the input.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from '@runnel/shared/protocol/results.ts';
import type { RunReport, TaskReport } from '@runnel/shared/protocol/runs.ts';
import type { Postgres } from '../../support/postgres.ts';
import { openSite } from '../../agent/streams/site.ts';
import { MACHINES, OUTPUT_TABLES, PARTS, orders, readings } from './crash-job.ts';
import type { Receiver } from './receiver.ts';

/** By what it is → what is there. */
export type Outcome = ReadonlyMap<string, string>;

export interface Places {
  readonly dataDir: string;
  readonly postgres: Postgres;
  readonly database: string;
  readonly receiver: Receiver;
  readonly round: string;
}

/** What there is, and how many instances of tasks took more than one attempt. */
export async function outcomeOf(
  places: Places,
): Promise<{ readonly outcome: Outcome; readonly again: number }> {
  const found = new Map<string, string>();
  files(places.dataDir, found);
  for (const table of [...OUTPUT_TABLES, 'runnel_runs']) {
    const columns = table === 'runnel_runs' ? 'effect_key, job, partition, task, rows' : '*';
    const sql = `SELECT ${columns} FROM ${table} ORDER BY 1, 2, 3`;
    const rows = await places.postgres.query(sql, [], places.database);
    found.set(`table ${table}`, rows.map((row) => JSON.stringify(row)).join('\n'));
  }
  for (const [key, { path, body }] of places.receiver.effects(places.round)) {
    found.set(`effect ${path} ${key}`, body);
  }
  const again = await outbox(places.dataDir, found);
  return { outcome: found, again };
}

/** Differences, as sentences. */
export function differences(expected: Outcome, found: Outcome): string[] {
  const short = (text: string): string => (text.length > 300 ? `${text.slice(0, 300)} …` : text);
  const wrong: string[] = [];
  for (const [what, value] of expected) {
    const there = found.get(what);
    if (there === undefined) wrong.push(`${what} is missing`);
    else if (there !== value) wrong.push(`${what} is ${short(there)}; it was ${short(value)}`);
  }
  for (const [what, value] of found) {
    if (!expected.has(what)) wrong.push(`${what} should not be there: ${short(value)}`);
  }
  return wrong;
}

/** Files that no run may leave behind. */
export function leftovers(outcome: Outcome): string[] {
  return [...outcome.keys()].filter((what) => /^file .*(\/\.|\.new$|\/scratch\/|\/mnt)/.test(what));
}

/**
 * The agent's own, what speaks of its time, and the copy of rows that stand in the document: it is
 * for the load alone, and goes with its run or at the next start.
 */
const OWN = /^(store|identity|agent\.|policy\.)|^batch\/logs\/|^batch\/tables\/[^/]+\/replace\./;

function files(dataDir: string, found: Map<string, string>): void {
  const list = readdirSync(dataDir, { recursive: true, withFileTypes: true });
  for (const entry of list) {
    const path = join(entry.parentPath, entry.name).slice(dataDir.length + 1);
    if (entry.isDirectory() || OWN.test(path)) continue;
    const text = readFileSync(join(dataDir, path)).toString('latin1');
    // The run's id is random; numbers of attempts and placements depend on what was cut off.
    const name = path
      .replace(/^(batch\/tables\/)[^/]+\/(.*?)\.\d+-\d+-\d+\.jsonl$/, '$1$2')
      .replace(/^(batch\/datasets\/.*)-\d+\.jsonl$/, '$1');
    found.set(`file ${name}`, `${found.get(`file ${name}`) ?? ''}${text}`);
  }
}

async function outbox(dataDir: string, found: Map<string, string>): Promise<number> {
  const attempts = new Map<string, number>();
  const site = await openSite({ dataDir });
  const rows = await site.take('results');
  found.set('dead letters', String(site.runtime.deadLetters.rows));
  await site.close();
  const results = rows.filter(({ kind }) => kind === 'result').map((row) => resultText(row));
  found.set('results', results.toSorted().join('\n'));
  for (const { kind, job, value } of rows) {
    if (kind === 'run') {
      const { key, partition, state, trigger } = value as RunReport;
      found.set(`run of ${job}`, JSON.stringify({ key, partition, state, trigger }));
    } else if (kind === 'task') {
      const { task, index, state, output, attempt } = value as TaskReport;
      attempts.set(`${job} ${task} ${index}`, attempt);
      // An output that names a file has its absolute path.
      // A load whose database had taken the rows when it was cut off says that it found them there.
      const text = JSON.stringify(output)
        ?.replaceAll(dataDir, '')
        .replace('"loaded":false', '"loaded":true');
      found.set(`task ${job} ${task} ${index}`, `${state} ${text}`);
    }
  }
  return [...attempts.values()].filter((attempt) => attempt > 1).length;
}

function resultText({ dataset, key, value, revision, windowStart, windowEnd, time }: Row): string {
  return JSON.stringify({ dataset, key, value, revision, windowStart, windowEnd, time });
}

/** What an undisturbed run must have left, judged by loops over the input. */
export function plainFaults(outcome: Outcome): string[] {
  const wrong: string[] = [];
  const expect = (what: string, value: unknown): void => {
    const wanted = typeof value === 'string' ? value : JSON.stringify(value);
    if (outcome.get(what) !== wanted) {
      wrong.push(`${what} is ${outcome.get(what)?.slice(0, 400)}, it must be ${wanted}`);
    }
  };
  const lines = (rows: readonly object[]): string =>
    rows.map((row) => JSON.stringify(row)).join('\n');
  const good = readings().filter(({ rms }) => rms <= 1000);
  const daily = MACHINES.map((machine) => {
    const of = good.filter((each) => each.machine === machine);
    return { machine, n: of.length, rms: of.reduce((sum, { rms }) => sum + rms, 0) };
  });
  expect('table appended', lines(daily));
  expect('table latest', lines([...daily, { machine: 'old', n: 1, rms: 1 }]));
  const today = MACHINES.map((machine, n) => ({ day: 'today', machine, n }));
  expect('table replaced', lines([{ day: 'before', machine: 'm1', n: 1 }, ...today]));
  expect('table bought', lines(orders()));
  expect('dead letters', String(readings().length - good.length));
  const csv = orders().map(({ id, machine, amount }) => `${id},${machine},${amount}`);
  expect('file out/orders.csv', `id,machine,amount\n${csv.join('\n')}\n`);
  expect('file out/follow.jsonl', `${lines(daily)}\n`);
  const sums = MACHINES.map((machine) => ({
    machine,
    amount: orders().reduce((sum, each) => sum + (each.machine === machine ? each.amount : 0), 0),
  }));
  const worn = (machine: string): number =>
    Array.from({ length: PARTS }, (_, n) => n + 1).filter(
      (n) => n % 2 === 0 && `m${1 + (n % 3)}` === machine,
    ).length;
  const joined = daily.map(({ machine, n }, at) => {
    return { machine, n, amount: sums[at]!.amount, worn: worn(machine) };
  });
  const sent = (outcome.get('results') ?? '').split('\n').map((line) => JSON.parse(line) as Row);
  const valuesOf = (dataset: string): string[] =>
    sent
      .filter((row) => row.dataset === dataset)
      .map(({ value }) => JSON.stringify(value))
      .toSorted();
  for (const [dataset, rows] of [
    ['machine-daily', joined],
    ['order-sums', sums],
  ] as const) {
    const wanted = rows.map((row) => JSON.stringify(row)).toSorted();
    const there = valuesOf(dataset);
    if (JSON.stringify(there) !== JSON.stringify(wanted)) {
      wrong.push(`results ${dataset} are ${there.join(' ')}, they must be ${wanted.join(' ')}`);
    }
  }
  const hot = good.filter(({ rms }) => rms > 97).length;
  if (valuesOf('hot').length !== hot) wrong.push(`${valuesOf('hot').length} hot rows, not ${hot}`);
  const paths = [...outcome.keys()].flatMap((what) => /^effect (\S+)/.exec(what)?.[1] ?? []);
  const once = ['big', 'complain', 'flaky', 'follow', 'hook', 'lines', 'lines', 'lines'];
  const pushes = Math.ceil(orders().length / 40);
  const wanted = [...once, ...Array.from({ length: pushes }, () => 'push')];
  if (paths.toSorted().join() !== wanted.join()) wrong.push(`effects: ${paths.toSorted().join()}`);
  expect(
    'run of pipeline',
    outcome.get('run of pipeline')?.replace(/"state":"\w+"/, '"state":"success"') ?? '',
  );
  return wrong;
}
