/** `node run-ts.mjs FILE.ts [args]`: bundles a tool of the repository and runs it. */
import { pathToFileURL } from 'node:url';
import { bundleTool } from './bundle-tool.mjs';

const [, , file, ...args] = process.argv;
const out = await bundleTool(file);
process.argv = [process.argv[0], out, ...args];
await import(pathToFileURL(out).href);
