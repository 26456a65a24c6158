/**
 * Reads what `strace -f -ttt -T -xx -yy` wrote: one entry per system call with its start and end,
 * the pieces of an interrupted line put together again.
 */

export interface Syscall {
  readonly name: string;
  /** Seconds since 1970 with microseconds. */
  readonly start: number;
  readonly end: number;
  /** What the descriptor is: `/path/data.mdb`, `TCP:[…]`. */
  readonly target: string;
  readonly result: number;
  /** The bytes of the first buffer. */
  readonly bytes: Buffer;
}

const WHOLE = /^(\d+)\s+(\d+\.\d+) (\w+)\((.*)\)\s+= (-?\d+)[^<]*<([\d.]+)>$/;
const UNFINISHED = /^(\d+)\s+(\d+\.\d+) (\w+)\((.*) <unfinished \.\.\.>$/;
const RESUMED = /^(\d+)\s+(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)\)\s+= (-?\d+)[^<]*<([\d.]+)>$/;

export function parseSyscalls(text: string): Syscall[] {
  const open = new Map<string, { start: number; head: string }>();
  const calls: Syscall[] = [];
  for (const line of text.split('\n')) {
    const unfinished = UNFINISHED.exec(line);
    if (unfinished !== null) {
      const [, thread, start, name, head] = unfinished as unknown as string[];
      open.set(`${thread} ${name}`, { start: Number(start), head: head as string });
      continue;
    }
    const resumed = RESUMED.exec(line);
    if (resumed !== null) {
      const [, thread, at, name, tail, result] = resumed as unknown as string[];
      const begun = open.get(`${thread} ${name}`);
      open.delete(`${thread} ${name}`);
      if (begun === undefined) continue;
      calls.push(call(name as string, begun.start, Number(at), `${begun.head}${tail}`, result));
      continue;
    }
    const whole = WHOLE.exec(line);
    if (whole === null) continue;
    const [, , start, name, args, result, took] = whole as unknown as string[];
    const begin = Number(start);
    calls.push(call(name as string, begin, begin + Number(took), args as string, result));
  }
  return calls.toSorted((a, b) => a.end - b.end);
}

function call(
  name: string,
  start: number,
  end: number,
  args: string,
  result: string | undefined,
): Syscall {
  const named = /^\d+<([^>]*(?:>[^,>]*)*?)>(?:,|$|\s)/.exec(args)?.[1] ?? '';
  // `-xx` writes paths as hexadecimal too, but not the names of sockets.
  const target = named.startsWith('\\x') ? unescape(named).toString() : named;
  const hex = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((found) => found[1] ?? '');
  return { name, start, end, target, result: Number(result), bytes: unescape(hex.join('')) };
}

function unescape(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}
