/** What people type into the page, and what the control plane is asked for because of it. */
import { describe, expect, test } from 'vitest';
import {
  draftOf,
  fieldsOf,
  KINDS,
  readDraft,
  type ReceiverDraft,
  refusedFields,
} from '@runnel/control-plane/dashboard/alerts/receiver-draft.ts';
import { ApiError } from '@runnel/control-plane/dashboard/api/api-client.ts';
import {
  layerOf,
  refusedEdit,
  scopeOf,
  textOfValue,
  writtenAs,
} from '@runnel/control-plane/dashboard/jobs/parameter-edit.ts';
import { readParameters } from '@runnel/control-plane/dashboard/runs/parameter-input.ts';
import { RECEIVER_KINDS } from '@runnel/control-plane/alerts/receivers/registry.ts';
import type { ReceiverItem, ReceiverKind } from '@runnel/control-plane/http/alert-messages.ts';
import type { ParameterDeclaration } from '@runnel/control-plane/http/parameter-messages.ts';

const kinds = Object.keys(KINDS) as ReceiverKind[];

const MAIL: ReceiverItem = {
  ...{ name: 'on-call', kind: 'email', selector: 'site=lyon', severity: 'error' },
  ...{ sendResolved: false, secrets: { password: 'stored' }, lastSentAt: 1, lastError: null },
  settings: {
    host: 'smtp.example.org',
    port: 25,
    from: 'a@b.example',
    to: ['c@d.example', 'e@f.example'],
  },
};

const typed = (part: Partial<ReceiverDraft>): ReceiverDraft => ({
  ...draftOf(null),
  name: 'on-call',
  ...part,
});

describe('a receiver that a person edits', () => {
  test.each(kinds)('of kind %s has a field for every setting and secret, and no other', (kind) => {
    const { settings, secrets } = RECEIVER_KINDS[kind];
    const shape = (settings as unknown as { shape: Record<string, unknown> }).shape;
    expect(
      fieldsOf(kind)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(Object.keys(shape).toSorted());
    expect(Object.keys(KINDS[kind].secrets).toSorted()).toEqual([...secrets].toSorted());
  });

  test('that is saved without a change stays what it was, and its secrets are not named', () => {
    const { input, problems } = readDraft(draftOf(MAIL));
    const { kind, selector, severity, sendResolved, settings } = MAIL;
    expect(input).toEqual({ kind, selector, severity, sendResolved, settings, secrets: {} });
    expect(problems).toEqual({});
  });

  test('names a secret only where something takes its place', () => {
    const secrets = {
      url: { mode: 'env', text: ' RUNNEL_SECRET_HOOK ' },
      authorization: { mode: 'none', text: '' },
      secret: { mode: 'text', text: ' kept as typed ' },
    } as const;
    expect(readDraft(typed({ secrets })).input.secrets).toEqual({
      url: { env: 'RUNNEL_SECRET_HOOK' },
      authorization: null,
      secret: ' kept as typed ',
    });
  });

  test.each([
    [{ name: 'On Call' }, 'name'],
    [{ kind: 'email', settings: { port: 'many' } }, 'settings.port'],
    [{ settings: { headers: 'X-Team' } }, 'settings.headers'],
    [{ secrets: { url: { mode: 'file', text: ' ' } } }, 'secrets.url'],
  ] as const)('that cannot be sent is told at its field: %j', (part, field) => {
    expect(Object.keys(readDraft(typed(part)).problems)).toEqual([field]);
  });

  test('is told what the control plane refused at the field it is about', () => {
    const refused = (path: string) =>
      new ApiError(400, 'receiver_invalid', 'x', { issues: [{ path, message: 'no' }] });
    const draft = draftOf(MAIL);
    expect(refusedFields(refused('settings.to[1]'), draft)).toEqual({ 'settings.to': 'no' });
    expect(refusedFields(refused('secrets.password'), draft)).toEqual({ 'secrets.password': 'no' });
    expect(refusedFields(refused('name'), draft)).toEqual({ name: 'no' });
    expect(refusedFields(refused('settings'), draft)).toBeNull();
    const selector = new ApiError(400, 'selector_invalid', 'the selector is odd');
    expect(refusedFields(selector, draft)).toEqual({ selector: 'the selector is odd' });
    expect(refusedFields(new Error('no contact'), draft)).toBeNull();
  });
});

describe('a parameter that a person sets', () => {
  const declared = (part: Partial<ParameterDeclaration>): ParameterDeclaration => ({
    ...{ name: 'p', type: null, schema: null, description: null, min: null, max: null },
    ...{ values: null },
    ...part,
  });

  /** The declaration, what is typed, and the value that is asked for. */
  test.each([
    [{ type: 'number' }, '0.9', 0.9],
    [{ type: 'string' }, '07', '07'],
    [{ type: 'duration' }, '30s', '30s'],
    [{ type: 'string', values: ['a', 'b'] }, '"b"', 'b'],
    [{ schema: { type: 'string' } }, '07', '07'],
    [{ schema: { type: 'integer' } }, '7', 7],
    [{ schema: { type: 'boolean' } }, 'true', true],
    [{ schema: { enum: [1, '1'] } }, '"1"', '1'],
    [{ schema: { type: 'object' } }, '{"a":1}', { a: 1 }],
    [{ schema: { type: ['string', 'null'] } }, 'null', null],
  ] as const)('is written as its type or schema says: %j', (part, text, value) => {
    const written = writtenAs(declared(part));
    expect(readParameters([written], { p: text })).toEqual({ values: { p: value }, problems: {} });
    // What a layer sets stands in the field as it would be typed.
    expect(readParameters([written], { p: textOfValue(written, value) }).values).toEqual({
      p: value,
    });
  });

  test.each(['fleet', 'label:role=press, site in (lyon)', 'site:lyon', 'agent:a1b2'])(
    'keeps its layer: %s',
    (scope) => {
      const { kind, of } = layerOf(scope);
      expect(scopeOf(kind, of)).toBe(scope);
    },
  );

  test('is told what was refused at the value or at the layer', () => {
    const issues = [{ path: 'parameters.p', message: 'is above 1' }];
    const value = new ApiError(422, 'definition_invalid', 'x', { issues });
    expect(refusedEdit(value)).toEqual({ value: 'is above 1' });
    for (const code of ['scope_invalid', 'not_found']) {
      expect(refusedEdit(new ApiError(400, code, 'no such'))).toEqual({ scope: 'no such' });
    }
    expect(refusedEdit(new ApiError(403, 'forbidden', 'no'))).toBeNull();
  });
});
