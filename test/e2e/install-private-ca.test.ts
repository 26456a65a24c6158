/**
 * A private network: the control plane is reached by HTTPS and NATS by TLS, both with certificates
 * of a CA that no machine knows. The one line, a home directory, the runtime of the archive.
 */
import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import type { PackagePlatform } from '@runnel/shared/protocol/packages.ts';
import { httpServer } from '../support/http-server.ts';
import { Plant, ticksJob } from '../support/installing.ts';
import { makeTlsFiles } from '../support/mosquitto.ts';
import { makePackages } from '../support/packages.ts';
import { describeWith } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const DEADLINE_MS = 300_000;
const platform = `linux-${process.arch}` as PackagePlatform;

describeWith(['curl', 'xz', 'openssl'], 'the one line, with a CA that nobody knows', () => {
  it(
    'installs, enrols and brings a result, and trusts that CA alone',
    async () => {
      const tls = makeTlsFiles();
      const front = await httpServer(async ({ method, url, headers, body }) => {
        const { pathname, search } = url;
        const init = { method, headers: headers as Record<string, string> };
        const sent = body === '' ? init : { ...init, body };
        const answer = await fetch(`${plant.control.url}${pathname}${search}`, sent);
        const type = answer.headers.get('content-type') ?? 'text/plain';
        const bytes = Buffer.from(await answer.arrayBuffer());
        return { status: answer.status, headers: { 'content-type': type }, body: bytes };
      }, tls);
      const { url: publicUrl } = front;
      const natsTls = { certFile: tls.cert, keyFile: tls.key, caFile: tls.ca };
      const plant: Plant = await Plant.start(
        (dir) => makePackages(dir, { platforms: [platform] }),
        {
          publicUrl,
          publicCa: readFileSync(tls.ca, 'utf8'),
          nats: { kind: 'own', listen: { host: '127.0.0.1', port: 0 }, tls: natsTls },
        },
      );
      onTestFinished(() => plant.close());

      const home = plant.home('device');
      onTestFinished(() => home.stop());
      const line = await plant.line();
      const { code, out, err } = await home.install(line, '--name', 'device');
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(/connected to localhost|connected to 127\.0\.0\.1/);
      await plant.online('device');
      await plant.control.post('/jobs', ticksJob);
      await waitFor(
        'a result',
        async () => (await plant.control.get('/datasets/ticks/results')).json?.items?.[0],
        60_000,
      );

      // Without the CA that the installer carries nothing of that network is believed.
      const place = ['--url', publicUrl, '--data', `${home.path}/other`];
      const token = /--token (\S+)/.exec(await plant.line())?.[1] ?? '';
      const stranger = await home.agent('enroll', ...place, '--token', token);
      expect(stranger.code).not.toBe(0);
      expect(stranger.err).toMatch(/certificate/i);
    },
    DEADLINE_MS,
  );
});
