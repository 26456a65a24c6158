/** The release that this control plane is, as its package says. */
import { version } from './package.json';

export const controlVersion: string = version;
