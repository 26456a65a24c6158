#!/usr/bin/env node
/** Loads the built server; without a build it says how to make one. */
import { existsSync } from 'node:fs';

const build = new URL('../dist/runnel-control.js', import.meta.url);
if (existsSync(build)) await import(build.href);
else {
  console.error('runnel-control is not built yet; run: npm run setup');
  process.exitCode = 1;
}
