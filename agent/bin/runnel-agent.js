#!/usr/bin/env node
/** Loads the built agent; without a build it says how to make one. */
import { existsSync } from 'node:fs';

const build = new URL('../dist/runnel-agent.js', import.meta.url);
if (existsSync(build)) await import(build.href);
else {
  console.error('runnel-agent is not built yet; run: npm run setup');
  process.exitCode = 1;
}
