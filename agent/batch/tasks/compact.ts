/** Compacts the agent's store (checkpoints/compact-store.ts), unless there is little to gain. */
import type { CompactTaskConfig } from '@runnel/shared/definitions/tasks/compact.ts';
import { RunnelError } from '@runnel/shared/errors.ts';
import { defineTaskRunner } from './task.ts';
import { TaskError } from './task-error.ts';

export const compactTask = defineTaskRunner<CompactTaskConfig>({
  kind: 'compact',
  async run({ freeMin }, { log, services, signal }) {
    signal.throwIfAborted();
    const { fileBytes, usedBytes } = services.store.usage();
    if (fileBytes - usedBytes < freeMin) {
      log.info(`${fileBytes - usedBytes} of ${fileBytes} bytes are free: less than ${freeMin}`);
      return { output: { compacted: false, bytesBefore: fileBytes, bytesAfter: fileBytes } };
    }
    try {
      const { bytesBefore, bytesAfter, heldMs } = await services.store.compact(signal);
      log.info(`the store went from ${bytesBefore} to ${bytesAfter} bytes`);
      log.info(`sources waited ${Math.ceil(heldMs)} ms`);
      return { output: { compacted: true, bytesBefore, bytesAfter } };
    } catch (error) {
      if (!(error instanceof RunnelError) || !LACKS.has(error.code)) throw error;
      const hint = error.hint === undefined ? {} : { hint: error.hint };
      throw new TaskError('resources', error.code, error.message, { ...hint, cause: error });
    }
  },
});

/** Another time there may be more: of disk, or of time between records. */
const LACKS: ReadonlySet<string> = new Set(['compact_busy', 'compact_no_room']);
