/** Standard streams of a command under test, in memory. */
import { PassThrough, Readable, Writable } from 'node:stream';

export interface FakeStreams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  out(): string;
  err(): string;
}

export function fakeStreams(stdin = ''): FakeStreams {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err'): Writable =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        written[name] += chunk.toString();
        done();
      },
    });
  return {
    stdin: Readable.from([Buffer.from(stdin)], { objectMode: false }).pipe(new PassThrough()),
    stdout: sink('out'),
    stderr: sink('err'),
    out: () => written.out,
    err: () => written.err,
  };
}
