/**
 * Judges a trace of commit-worker.ts: between a commit's hand-over and the word that it is done,
 * the store's pages must be written, synced, and then the meta page written through a descriptor
 * that was opened with O_DSYNC, each of them ended before the next begins.
 */
interface Call {
  readonly name: string;
  readonly args: string;
  readonly start: number;
  readonly end: number;
}

export interface DurableVerdict {
  /** Commits that said they were done. */
  readonly commits: number;
  /** Those that said so too early, as sentences. */
  readonly early: readonly string[];
}

const WRITES = /^(pwrite64|pwritev2?|write|writev)$/;
const SYNCS = /^(fdatasync|fsync)$/;

export function judgeCommits(trace: string): DurableVerdict {
  const calls = parse(trace);
  const direct = new Set(
    calls
      .filter(({ name, args }) => name === 'openat' && /data\.mdb.*O_DSYNC/.test(args))
      .map(({ args }) => /= (\d+)/.exec(args)?.[1] ?? ''),
  );
  const onStore = calls.filter(
    ({ name, args }) => name !== 'openat' && /^\d+<[^>]*data\.mdb/.test(args),
  );
  const isMeta = ({ args }: Call): boolean => direct.has(/^\d+/.exec(args)?.[0] ?? '');
  const said = calls.filter(({ name, args }) => name === 'write' && args.startsWith('1<'));
  const early: string[] = [];
  let after = 0;
  for (const [at, word] of said.entries()) {
    const between = onStore.filter(({ start, end }) => start >= after && end <= word.start);
    const pages = between.find((call) => WRITES.test(call.name) && !isMeta(call));
    const sync = between.find(
      (call) => SYNCS.test(call.name) && pages !== undefined && call.start >= pages.end,
    );
    const meta = between.find(
      (call) =>
        WRITES.test(call.name) && isMeta(call) && sync !== undefined && call.start >= sync.end,
    );
    const seen = between.map(({ name }) => name).join(', ');
    if (meta === undefined) early.push(`commit ${at + 1} was done after: ${seen || 'nothing'}`);
    after = word.end;
  }
  return { commits: said.length, early };
}

/** Lines of `strace -f -ttt -T -y`; a call that was interrupted is put together again. */
function parse(trace: string): Call[] {
  const open = new Map<string, { readonly start: number; readonly head: string }>();
  const calls: Call[] = [];
  for (const line of trace.split('\n')) {
    const [, thread = '', at = '', text = ''] = /^(\d+)\s+(\d+\.\d+) (.*)$/.exec(line) ?? [];
    const start = Number(at);
    if (text.endsWith('<unfinished ...>')) {
      open.set(thread, { start, head: text.slice(0, -'<unfinished ...>'.length) });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text);
    const begun = open.get(thread);
    const whole = resumed === null ? text : `${begun?.head ?? ''}${resumed[1] ?? ''}`;
    const [, name, args = ''] = /^(\w+)\((.*)$/.exec(whole) ?? [];
    if (name === undefined) continue;
    const tookS = Number(/<([\d.]+)>$/.exec(whole)?.[1] ?? 0);
    if (resumed === null) calls.push({ name, args, start, end: start + tookS });
    else calls.push({ name, args, start: begun?.start ?? start, end: start });
  }
  return calls;
}
