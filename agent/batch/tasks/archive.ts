/**
 * The task `archive`. Its table is the list of what it has archived and verified, which is what
 * `purge` with `archivedBy` goes by; its cursor is the same, committed with its success.
 */
import type { ArchiveTaskConfig } from '@runnel/shared/definitions/tasks/archive.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import type { ArchivedFile } from '../tables/archive-files.ts';
import { archiveDataset } from './archive-dataset.ts';
import { archiveJournal } from './archive-journal.ts';
import { defineTaskRunner } from './task.ts';

export const archiveTask = defineTaskRunner<ArchiveTaskConfig>({
  kind: 'archive',
  async run(config, context) {
    const { journal, dataset } = config;
    if (journal !== undefined) {
      const { cursor, files, purgeableUpTo } = await archiveJournal(
        { ...config, journal },
        context,
      );
      const rows = Object.entries(cursor.periods).map(([partition, period]) => ({
        partition,
        ...period,
      }));
      return {
        output: {
          ...shown(files),
          source: context.services.journal.connectorOf(context, journal),
          archivedUpTo: cursor.upTo,
          purgeableUpTo,
        },
        table: await context.services.tables.write(context, rows),
        cursor: cursor as unknown as Json,
      };
    }
    const { cursor, files } = await archiveDataset({ ...config, dataset: dataset ?? '' }, context);
    const rows = Object.entries(cursor.partitions).map(([partition, each]) => ({
      partition,
      ...each,
    }));
    return {
      output: shown(files),
      table: await context.services.tables.write(context, rows),
      cursor: cursor as unknown as Json,
    };
  },
});

function shown(files: readonly ArchivedFile[]): Readonly<Record<string, Json>> {
  const sum = (of: (file: ArchivedFile) => number): number =>
    files.reduce((total, file) => total + of(file), 0);
  return {
    files: files.slice(0, limits.outputNamesMax).map((file) => ({ ...file })),
    fileCount: files.length,
    rowCount: sum(({ rows }) => rows),
    bytes: sum(({ bytes }) => bytes),
  };
}
