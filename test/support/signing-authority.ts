/** A control plane's keys for tests: signs key lists and desired documents as the real one does. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type {
  DesiredDocument,
  SignedDesired,
  SignedKeyList,
} from '@runnel/shared/protocol/desired.ts';
import { rootFingerprint } from '@runnel/shared/protocol/signing.ts';

interface TestKey {
  readonly publicKey: string;
  sign(text: string): string;
}

export function testKey(): TestKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const jwk = publicKey.export({ format: 'jwk' });
  return { publicKey: String(jwk.x), sign: (text) => signText(privateKey, text) };
}

function signText(key: KeyObject, text: string): string {
  return sign(null, Buffer.from(text, 'utf8'), key).toString('base64url');
}

export class SigningAuthority {
  readonly root = testKey();
  readonly signer = testKey();
  readonly fingerprint = rootFingerprint(this.root.publicKey);

  keyList(sequence = 1, keys = [{ id: 'k1', publicKey: this.signer.publicKey }]): SignedKeyList {
    const payload = JSON.stringify({ v: 1, sequence, root: this.root.publicKey, keys });
    return { payload, signature: this.root.sign(payload) };
  }

  desired(change: Partial<DesiredDocument> & { agent: string }, sequence = 1): SignedDesired {
    const document = {
      v: 1,
      revision: 1,
      issuedAt: 0,
      jobs: [],
      tables: [],
      heartbeatIntervalMs: 10_000,
      ...change,
    };
    return this.signedText(JSON.stringify(document), sequence);
  }

  signedText(payload: string, sequence = 1): SignedDesired {
    const signature = this.signer.sign(payload);
    return { v: 1, payload, keyId: 'k1', signature, keys: this.keyList(sequence) };
  }
}
