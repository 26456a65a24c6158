/** The store contract over libsql, in a file as in production. */
import { join } from 'node:path';
import { openStore } from '@runnel/control-plane/store/open-store.ts';
import { tempDir } from '../support/temp-dir.ts';
import { storeContract } from './store-contract.ts';

storeContract('libsql', () => openStore(join(tempDir('store'), 'store.db')));
