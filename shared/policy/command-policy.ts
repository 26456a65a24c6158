/**
 * Which programs command tasks may start, with which arguments and variables (I8).
 *
 * What is allowed runs with the rights of the agent: `paths` and `hosts` do not bind it, and a
 * shell or an interpreter among `commands` allows everything. Variables that make a program load or
 * run other code are refused whatever pattern fits them; policy.yaml must name them one by one.
 */
import { z } from 'zod';
import type { AgentPolicy } from './agent-policy.ts';

const program = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/, 'must be an absolute path');
const pattern = z.union([z.string().max(4096), z.number()]).transform(String);

/** An absolute path (any arguments), or `{ run: [path, …patterns] }`. */
export const commandEntry = z.union([
  program,
  z.strictObject({ run: z.tuple([program], pattern) }),
]);
export type CommandEntry = z.infer<typeof commandEntry>;

/** The loader's, shells', interpreters' and version control's: with them data becomes code. */
const CODE = new RegExp(
  `^(${[
    'LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_.*',
    'PATH|IFS|ENV|SHELL|SHELLOPTS|CDPATH|BASH.*|PS[0-4]|PROMPT_COMMAND|ZDOTDIR|FPATH|HOME',
    'PYTHON.*|NODE_.*|NPM_.*|PERL.*|RUBY.*|GEM_.*|BUNDLE_.*|LUA_.*|PHP.*|TCL.*|CLASSPATH|.*JAVA.*',
    'GIT_.*|SSH_.*|RSYNC_.*|OPENSSL_.*|EDITOR|VISUAL|PAGER|LESS.*|XDG_.*|TAR_OPTIONS',
  ].join('|')})$`,
);

/**
 * `run` is the program and its arguments; undefined is an argument that is not known yet and may
 * become any text. The reason why it is refused, or undefined.
 */
export function refuseCommand(
  run: readonly (string | undefined)[],
  commands: AgentPolicy['commands'],
): string | undefined {
  const [wanted = '', ...args] = run;
  const entries = commands.filter((entry) => programOf(entry) === wanted);
  if (entries.some((entry) => typeof entry === 'string' || fits(args, entry.run.slice(1)))) {
    return undefined;
  }
  const shown = (entries.length > 0 ? entries : commands).map((entry) =>
    typeof entry === 'string' ? entry : `[${entry.run.join(', ')}]`,
  );
  const what = entries.length > 0 ? `these arguments of ${wanted}` : `the program ${wanted}`;
  return `policy.yaml does not allow ${what} (commands: ${shown.join(', ') || 'none'})`;
}

/** Whether a job may set this variable for a program; the reason why not, or undefined. */
export function refuseVariable(name: string, allowed: readonly string[]): string | undefined {
  if (allowed.includes(name)) return undefined;
  const told = `policy.yaml does not allow jobs to set the variable ${name} of a program`;
  if (CODE.test(name)) {
    return `${told}: it decides which code runs (commandEnv must name it, not by a pattern)`;
  }
  const isAllowed = allowed.some(
    (entry) => entry.endsWith('*') && name.startsWith(entry.slice(0, -1)),
  );
  return isAllowed ? undefined : `${told} (commandEnv: ${allowed.join(', ') || 'none'})`;
}

function programOf(entry: CommandEntry): string {
  return typeof entry === 'string' ? entry : entry.run[0];
}

/** One pattern an argument; a last `**` stands for all that follow. */
function fits(args: readonly (string | undefined)[], patterns: readonly string[]): boolean {
  const isOpen = patterns.at(-1) === '**';
  const fixed = isOpen ? patterns.slice(0, -1) : patterns;
  if (isOpen ? args.length < fixed.length : args.length !== fixed.length) return false;
  return fixed.every((wanted, index) => fitsOne(args[index], wanted));
}

/** A leading `*` takes no option, so that what a job fills in cannot become one. */
function fitsOne(arg: string | undefined, wanted: string): boolean {
  if (arg === undefined) return wanted.includes('*');
  if (wanted.startsWith('*') && arg.startsWith('-')) return false;
  const [first = '', ...rest] = wanted.split('*');
  const last = rest.pop();
  if (last === undefined) return arg === wanted;
  if (!arg.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = arg.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return arg.length - last.length >= at && arg.endsWith(last);
}
