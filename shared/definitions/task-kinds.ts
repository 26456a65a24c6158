/**
 * Names of the kinds of task. Apart from their registry, so that an agent without a batch job can
 * say what it offers and carries none of their settings.
 */
export const TASK_KINDS = [
  'value',
  'extract',
  'load',
  'http',
  'command',
  'publish',
  'sql',
  'transform',
  'changes',
  'quality',
  'rollup',
  'archive',
  'purge',
  'compact',
  'reindex',
] as const;
