import { expect, test } from 'vitest';
import { isForThisMachine } from '@runnel/control-plane/dashboard/fleet/enroll-command.ts';

test.each([
  ['http://127.0.0.1:8080', true],
  ['http://localhost:8080', true],
  ['http://[::1]:8080', true],
  ['https://runnel.plant.example', false],
  ['http://10.0.0.5:8080', false],
  ['nonsense', false],
])('a command with %s works on this machine only: %s', (url, only) => {
  const command = `npx runnel-agent enroll --url ${url} --token rj1.x --data ./runnel-agent`;
  expect(isForThisMachine(command)).toBe(only);
});
