/** A source that has nothing to give: its records are in the journal already, from files. */
import type { SourceReport } from '@runnel/shared/protocol/heartbeat.ts';
import { SourceTally } from '../../sources/source-tally.ts';
import type { Source, SourceCommit } from '../../sources/source.ts';

export class IdleSource implements Source {
  readonly id: string;
  readonly kind = 'file';
  readonly receiveWindow = 1;
  readonly #tally = new SourceTally();

  constructor(id: string) {
    this.id = id;
  }

  async start(): Promise<void> {}

  prepareCommit(): SourceCommit {
    return {};
  }

  committed(): void {}

  discarded(): void {}

  resume(): void {}

  report(): SourceReport {
    return this.#tally.report(this.id, this.kind);
  }

  async stop(): Promise<void> {}
}
