/**
 * The `file` source: the lines of a growing file, like `tail -F`.
 *
 * Guarantees: the position is committed with the records, so every complete line counts exactly
 * once. A file that was renamed and made anew is read to its end first, also when that happened
 * while the agent was down and the old file is still in the directory; one that was cut short is
 * read from its beginning. A last line without its end waits; when its file was replaced it counts
 * as it is. A missing file is waited for. What a truncation cut off before it was read is gone,
 * and one that grows past the old length between two looks cannot be told from growth.
 *
 * Refused: lines above `limits.payloadBytesMax` (dropped, counted as `payload_too_large`).
 */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { limits } from '@runnel/shared/limits.ts';
import { LineSplitter } from './line-splitter.ts';
import { SourceTally } from './source-tally.ts';
import type { Source, SourceCommit, SourceContext } from './source.ts';
import { type FileOffset, TailFile, isMissing } from './tail-file.ts';

export interface FileSourceSettings {
  /** Absolute. */
  readonly path: string;
  readonly from: 'start' | 'end';
  readonly everyMs: number;
}

interface Tail {
  readonly file: TailFile;
  readonly lines: LineSplitter;
}

export class FileSource implements Source {
  readonly id: string;
  readonly kind = 'file';
  readonly receiveWindow = 65_536;
  readonly #settings: FileSourceSettings;
  readonly #tally = new SourceTally();
  #context: SourceContext | null = null;
  #tail: Tail | null = null;
  /** Where each offered line ends, oldest first. */
  #held: FileOffset[] = [];
  #committed: FileOffset | null = null;
  #staged: FileOffset | null = null;
  /** Set once the first look was taken: a file that appears later is read from its start. */
  #looked = false;
  #paused = false;
  #discarded = false;
  #stopped = false;
  #working: Promise<void> | null = null;
  #again = false;
  #cancelPoll: (() => void) | null = null;
  #watcher: FSWatcher | null = null;

  constructor(id: string, settings: FileSourceSettings) {
    this.id = id;
    this.#settings = settings;
  }

  async start(context: SourceContext): Promise<void> {
    this.#context = context;
    this.#committed = (context.checkpoint.offset as FileOffset | null | undefined) ?? null;
    this.#watch();
    this.#wake();
  }

  prepareCommit(count: number): SourceCommit {
    const last = count > 0 ? this.#held[count - 1] : this.#idleOffset();
    this.#staged = last ?? null;
    return last === undefined ? {} : { offset: last };
  }

  committed(count: number): void {
    this.#held.splice(0, count);
    this.#committed = this.#staged ?? this.#committed;
    this.#staged = null;
  }

  discarded(): void {
    this.#held = [];
    this.#staged = null;
    this.#paused = false;
    this.#discarded = true;
    this.#wake();
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  report(): SourceReport {
    return this.#tally.report(this.id, this.kind);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelPoll?.();
    this.#watcher?.close();
    await this.#working;
    await this.#close();
  }

  /** With nothing held, everything before the line in hand is done with. */
  #idleOffset(): FileOffset | undefined {
    if (this.#held.length > 0 || this.#tail === null) return undefined;
    return this.#tail.file.offsetAt(this.#tail.lines.lineStart);
  }

  /** The directory, so that a file that is made or replaced wakes us; polling is the fallback. */
  #watch(): void {
    const { path } = this.#settings;
    try {
      this.#watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
        if (name === null || name === basename(path)) this.#wake();
      });
      this.#watcher.on('error', (error) => this.#unwatched(error));
    } catch (error) {
      this.#unwatched(error);
    }
  }

  #unwatched(error: unknown): void {
    const { path, everyMs } = this.#settings;
    this.#context?.log.info({ path, everyMs, error: messageOf(error) }, 'file is polled only');
  }

  #wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = null;
      if (this.#again) this.#wake();
      else this.#poll();
    });
  }

  #poll(): void {
    this.#cancelPoll?.();
    if (this.#stopped || this.#context === null) return;
    this.#cancelPoll = this.#context.clock.after(this.#settings.everyMs, () => this.#wake());
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    this.#again = false;
    try {
      if (this.#discarded) {
        this.#discarded = false;
        await this.#close();
      }
      while (!this.#stopped && !this.#paused && !this.#discarded && (await this.#advance()));
    } catch (error) {
      await this.#close();
      this.#down(`${this.#settings.path}: ${messageOf(error)}`);
    }
  }

  /** One step; false when there is nothing more to do now. */
  async #advance(): Promise<boolean> {
    this.#tail ??= await this.#open();
    const tail = this.#tail;
    if (tail === null) return false;
    if (tail.lines.hasRest) return tail.lines.proceed();
    const chunk = await tail.file.read();
    if (this.#discarded) return false;
    if (chunk !== null) return tail.lines.feed(chunk);
    if ((await tail.file.size()) < tail.file.position) return this.#truncated(tail);
    return this.#replaced(tail);
  }

  async #open(): Promise<Tail | null> {
    const { path, from } = this.#settings;
    const first = !this.#looked;
    this.#looked = true;
    const offset = this.#held.at(-1) ?? this.#committed;
    const file = await TailFile.open(path);
    if (offset !== null && !(file !== null && (await file.is(offset)))) {
      // A folder that cannot be listed hides where the file went: as if it were deleted.
      const renamed = await TailFile.openRenamed(path, offset).catch(() => null);
      if (renamed !== null) {
        await file?.close();
        return this.#begin(renamed, offset.bytes);
      }
    }
    if (file === null) {
      this.#down(`${path} is not there (yet)`);
      return null;
    }
    if (offset !== null) return this.#begin(file, (await file.is(offset)) ? offset.bytes : 0);
    if (from === 'start' || !first) return this.#begin(file, 0);
    const tail = await this.#begin(file, await file.size());
    // Where the end was must survive a crash, or lines written until the first commit are lost.
    this.#context?.requestCommit();
    return tail;
  }

  async #begin(file: TailFile, bytes: number): Promise<Tail> {
    file.position = bytes;
    await file.prepare();
    const midLine = !(await file.atLineStart());
    const lines = new LineSplitter(
      {
        line: (line, start, end) => this.#line(file, line, start, end),
        tooLong: () => this.#drop('payload_too_large'),
      },
      limits.payloadBytesMax,
      bytes,
      midLine,
    );
    this.#up();
    return { file, lines };
  }

  #line(file: TailFile, payload: Buffer, start: number, end: number): boolean {
    // What is offered after a discard would be offered again from the committed position.
    if (this.#discarded) return false;
    const { path } = this.#settings;
    this.#held.push(file.offsetAt(end));
    this.#tally.records += 1;
    this.#tally.bytes += payload.length;
    const meta = { path, offset: start };
    this.#paused = this.#context?.offer({ topic: path, payload, meta }) === false;
    return !this.#paused;
  }

  async #truncated(tail: Tail): Promise<boolean> {
    if (tail.lines.partial > 0) this.#drop('truncated_line');
    tail.file.position = 0;
    this.#tail = await this.#begin(tail.file, 0);
    return true;
  }

  /** At the end of a file whose name now belongs to another: its last line, then the other. */
  async #replaced(tail: Tail): Promise<boolean> {
    const { path } = this.#settings;
    const named = await stat(path, { bigint: true }).catch((error: unknown) => {
      if (isMissing(error)) return null;
      throw error;
    });
    if (named === null) return false;
    if (String(named.ino) === tail.file.inode && String(named.dev) === tail.file.device) {
      return false;
    }
    const more = await tail.file.read();
    if (more !== null) return tail.lines.feed(more);
    tail.lines.end();
    const next = await TailFile.open(path);
    if (next === null) return false;
    await tail.file.close();
    this.#tail = await this.#begin(next, 0);
    return !this.#paused;
  }

  async #close(): Promise<void> {
    const tail = this.#tail;
    this.#tail = null;
    await tail?.file.close();
  }

  #drop(reason: string): void {
    this.#tally.drop(reason);
    this.#context?.dropped(reason);
  }

  #up(): void {
    if (this.#tally.connected) return;
    this.#tally.connected = true;
    this.#tally.error = null;
    this.#context?.connected(true);
  }

  #down(error: string): void {
    const news = this.#tally.connected || this.#tally.error !== error;
    this.#tally.connected = false;
    this.#tally.error = error;
    if (news) this.#context?.connected(false, error);
  }
}
