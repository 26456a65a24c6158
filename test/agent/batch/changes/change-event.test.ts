/** Rows as change events, and their positions: the shapes of the connectors as vectors. */
import { describe, expect, it } from 'vitest';
import { type ChangeEvent, changeEvent } from '@runnel/agent/batch/changes/change-event.ts';
import { isStale, positionOf } from '@runnel/agent/batch/changes/event-position.ts';
import type { Row } from '@runnel/agent/batch/tasks/task-services.ts';
import { mysqlEvent, postgresEvent, sqlServerEvent, withSchema } from './connector-events.ts';

const anne = { id: 1004, first_name: 'Anne', email: 'annek@noanswer.org' };
const byId = { key: ['id'] };

function dead(row: Row, key = ['id']): string {
  const event = changeEvent(row, { key });
  return event.kind === 'dead' ? `${event.reason}: ${event.message}` : event.kind;
}

/** Without positions. */
function changesOf(event: ChangeEvent): unknown {
  if (event.kind !== 'changes') return event;
  return event.changes.map(({ at: _at, ...change }) => change);
}

describe('a row as a change event', () => {
  const created = postgresEvent('c', 24_023_128, { after: anne });
  const put = [{ op: 'put', key: [1004], row: anne }];

  it.each<[string, Row]>([
    ['alone', created],
    ['with its schema', withSchema(created, [{ type: 'int32', field: 'id' }])],
    ['without a schema, in payload', { payload: created }],
    ['as a text', { topic: 'plant/customers', payload: JSON.stringify(created) }],
    ['with its key', { key: { id: 1004 }, value: { schema: null, payload: created } }],
    ['out of the journal', { _time: 1, _topic: 'plant/customers', ...created }],
  ])('%s', (_how, row) => {
    expect(changesOf(changeEvent(row, byId))).toEqual(put);
  });

  it.each(['c', 'r', 'u'])('%s puts what is in after', (op) => {
    const event = changeEvent(postgresEvent(op, 1, { after: anne }), byId);
    expect(changesOf(event)).toEqual(put);
  });

  it('d deletes by the key of before, else by its own key', () => {
    const gone = [{ op: 'delete', key: [1004], isMove: false }];
    const event = postgresEvent('d', 1, { before: { id: 1004, email: null } });
    expect(changesOf(changeEvent(event, byId))).toEqual(gone);
    const value = postgresEvent('d', 1);
    for (const key of [{ id: 1004 }, { schema: {}, payload: { id: 1004 } }, '{"id":1004}', 1004]) {
      expect(changesOf(changeEvent({ key, value }, byId)), JSON.stringify(key)).toEqual(gone);
    }
  });

  it('u to another key deletes the old row and puts the new one', () => {
    const before = { ...anne, id: 7 };
    expect(changesOf(changeEvent(postgresEvent('u', 1, { before, after: anne }), byId))).toEqual([
      { op: 'delete', key: [7], isMove: true },
      ...put,
    ]);
  });

  it('columns of the table take those of the event', () => {
    const columns = { number: 'id', name: 'first_name' };
    const event = changeEvent(created, { key: ['number'], columns });
    const row = { number: 1004, name: 'Anne' };
    expect(changesOf(event)).toEqual([{ op: 'put', key: [1004], row }]);
  });

  it('null is a tombstone, m a message, t a truncation', () => {
    for (const row of [
      { payload: null },
      { schema: null, payload: null },
      { key: 1, value: null },
    ]) {
      expect(changeEvent(row, byId)).toEqual({ kind: 'tombstone' });
    }
    const message = { ...postgresEvent('m', 1), message: { prefix: 'foo', content: 'Ymfy' } };
    expect(changeEvent(message, byId)).toEqual({ kind: 'message' });
    expect(changesOf(changeEvent(postgresEvent('t', 1), byId))).toEqual([{ op: 'truncate' }]);
  });

  it('a large value that did not change is left out', () => {
    const placeholder = '__debezium_unavailable_value';
    const after = {
      ...anne,
      note: placeholder,
      photo: Buffer.from(placeholder).toString('base64'),
      tags: [placeholder],
    };
    expect(changesOf(changeEvent(postgresEvent('u', 1, { after }), byId))).toEqual(put);
  });

  it.each<[string, Row]>([
    ['bad_format: op is null, none of c r u d t m', { id: 1 }],
    ['bad_format: op is "x", none of c r u d t m', postgresEvent('x', 1)],
    ['bad_format: op is c, and after is no map', postgresEvent('c', 1)],
    ['bad_format: the event is no map', { payload: [1] }],
    ['bad_format: the event is a text that is no JSON', { payload: '{' }],
    ['bad_format: source has neither position nor time', { op: 'c', after: anne }],
    ['missing_key: before has no value for the key id', postgresEvent('d', 1)],
    ['missing_key: after has no value for the key id', postgresEvent('c', 1, { after: {} })],
    [
      'bad_format: id of the key is a number beyond 2^53',
      postgresEvent('c', 1, { after: { id: 2 ** 53 } }),
    ],
    [
      'bad_format: id of the key is neither text nor number',
      postgresEvent('c', 1, { after: { id: { scale: 0 } } }),
    ],
  ])('%s', (told, row) => {
    expect(dead(row)).toBe(told);
  });
});

it('values with a schema become what columns take', () => {
  const fields = [
    ['day', 'io.debezium.time.Date', 20_779, '2026-11-22'],
    ['at', 'io.debezium.time.Timestamp', 1_529_507_596_945, '2018-06-20T15:13:16.945'],
    [
      'exact',
      'io.debezium.time.MicroTimestamp',
      1_529_507_596_945_104,
      '2018-06-20T15:13:16.945104',
    ],
    ['old', 'io.debezium.time.MicroTimestamp', -1, '1969-12-31T23:59:59.999999'],
    ['forever', 'io.debezium.time.MicroTimestamp', 9_223_372_036_825_200_000, 'infinity'],
    ['shift', 'io.debezium.time.MicroTime', 54_796_945_104, '15:13:16.945104'],
    ['connect', 'org.apache.kafka.connect.data.Date', 0, '1970-01-01'],
    ['amount', 'org.apache.kafka.connect.data.Decimal', 'MDk=', '123.45'],
    ['loss', 'org.apache.kafka.connect.data.Decimal', '/w==', '-0.01'],
    ['vague', 'io.debezium.data.VariableScaleDecimal', { scale: 1, value: 'ew==' }, '12.3'],
    ['zoned', 'io.debezium.time.ZonedTimestamp', '2018-06-20T13:13:16Z', '2018-06-20T13:13:16Z'],
    ['none', 'io.debezium.time.Date', null, null],
  ] as const;
  const after = Object.fromEntries(fields.map(([field, , value]) => [field, value]));
  const schema = fields.map(([field, name]) => ({ field, name, parameters: { scale: '2' } }));
  const event = withSchema(postgresEvent('c', 1, { after: { id: 1, ...after } }), schema);
  const row = Object.fromEntries(fields.map(([field, , , wanted]) => [field, wanted]));
  expect(changesOf(changeEvent(event, byId))).toEqual([
    { op: 'put', key: [1], row: { id: 1, ...row } },
  ]);
});

describe('the position of an event', () => {
  const after = { after: anne };
  const time = (source: Row): Row => ({ op: 'c', source: { connector: 'mongodb', ...source } });

  it.each<[string, Row, Row]>([
    ['lsn', postgresEvent('c', 99, after), postgresEvent('c', 100, after)],
    [
      'the number of the file',
      mysqlEvent('c', ['mysql-bin.999999', 500, 0], after),
      mysqlEvent('c', ['mysql-bin.1000000', 4, 0], after),
    ],
    [
      'the place in the file',
      mysqlEvent('c', ['mysql-bin.000003', 99, 9], after),
      mysqlEvent('c', ['mysql-bin.000003', 100, 0], after),
    ],
    [
      'the row in an event of MySQL',
      mysqlEvent('c', ['mysql-bin.000003', 154, 9], after),
      mysqlEvent('c', ['mysql-bin.000003', 154, 10], after),
    ],
    [
      'a change behind the snapshot of SQL Server',
      sqlServerEvent('r', '00000025:00000d98:00a2', null, after),
      sqlServerEvent('u', '00000025:00000d98:00a2', '00000025:00000d98:0003', after),
    ],
    [
      'the commit, before the change in it',
      sqlServerEvent('u', '00000025:00000d98:00a2', '00000025:00000d98:0009', after),
      sqlServerEvent('u', '00000026:00000d98:00a2', '00000025:00000d98:0003', after),
    ],
    ['the time', time({ ts_ms: 999 }), time({ ts_ms: 1000 })],
    ['the finer time', time({ ts_ms: 1, ts_us: 1001 }), time({ ts_ms: 1, ts_ns: 1_002_000 })],
  ])('grows with %s', (_what, first, second) => {
    const [one, two] = [positionOf(first), positionOf(second)];
    expect(isStale(one!, two, 'x')).toBe(true);
    expect(isStale(two!, one, 'x')).toBe(false);
  });

  it('that came before is stale, but for a time, which others can have too', () => {
    const at = positionOf(postgresEvent('c', 1, after));
    expect(isStale(at!, at, 'x')).toBe(true);
    const clock = positionOf(time({ ts_ms: 1 }));
    expect(isStale(clock!, clock, 'x')).toBe(false);
  });

  it('of another source cannot be compared', () => {
    const [one, two] = [
      positionOf(postgresEvent('c', 1, after)),
      positionOf(mysqlEvent('c', ['mysql-bin.000003', 154, 0], after)),
    ];
    expect(() => isStale(one!, two, 'the row [1]')).toThrow(/the row \[1\] was changed last by/);
  });
});
