/**
 * Rows of an HTTP API, page by page.
 *
 * A page is held whole, the pages never together. Where the next page is said by the other side, it
 * must be a page that was not read before: an API that points at itself would be read for ever.
 */
import type { ExtractTaskConfig } from '@runnel/shared/definitions/tasks/extract.ts';
import { compileRowExpression, RESPONSE_NAMES } from '@runnel/shared/definitions/row-expression.ts';
import type { Json } from '@runnel/shared/engine/record.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import { ExpressionError } from '@runnel/shared/expressions/expression.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';
import { type CursorValue, subjectOf } from './cursor.ts';
import { answerError, type HttpAnswer, isExpected, nextLink, placeOf } from './http-answer.ts';
import { HttpClient, httpBody, withQuery } from './http-client.ts';
import { parseBody } from './parse-body.ts';
import { isRow, rowOf } from './rows.ts';

type HttpConfig = NonNullable<ExtractTaskConfig['http']>;

/** What the expressions `rows` and `paging.next` see. */
interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, Json>>;
  readonly body: Json;
  readonly rows: number;
}

export interface HttpExtract {
  /** Pages read so far. */
  pages: number;
  rows(): AsyncGenerator<Row>;
}

export function httpExtract(
  config: HttpConfig,
  listOf: (body: Json, response: Partial<Response>) => readonly Json[],
  since: { readonly param: string; readonly value: CursorValue } | null,
  context: TaskContext,
): HttpExtract {
  const extract: HttpExtract = {
    pages: 0,
    async *rows() {
      const client = await HttpClient.open(config, context);
      try {
        const begin =
          since === null ? client.url : withQuery(client.url, { [since.param]: since.value });
        const pager = makePager(config, context);
        const seen = new Set<string>();
        let url: URL | undefined = pager.first(begin);
        while (url !== undefined) {
          refuseLoop(seen, url);
          if (extract.pages >= config.pagesMax) throw tooManyPages(config.pagesMax);
          if (extract.pages > 0) await context.clock.sleep(config.pause, context.signal);
          const answer = await fetchPage(client, url, config, context);
          const facts = { status: answer.status, headers: plainHeaders(answer) };
          const body = bodyOf(answer, config.format);
          const items = listOf(body, facts);
          extract.pages += 1;
          context.log.info(`${placeOf(url)}: page ${extract.pages}, ${items.length} rows`);
          for (const item of items) yield rowOf(item);
          url = pager.next(answer, { ...facts, body, rows: items.length }, begin);
        }
      } finally {
        client.close();
      }
    },
  };
  return extract;
}

async function fetchPage(
  client: HttpClient,
  url: URL,
  { method, body, format, pageMax }: HttpConfig,
  context: TaskContext,
): Promise<HttpAnswer> {
  const accept =
    format === 'json' ? 'application/json, */*;q=0.1' : 'application/x-ndjson, */*;q=0.1';
  const answer = await client.send({
    method,
    url,
    body: httpBody(body),
    bodyMax: pageMax,
    accept,
  });
  if (isExpected(answer.status, undefined)) return answer;
  throw answerError(answer, method, context.clock.now());
}

function plainHeaders({ headers }: HttpAnswer): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]),
  );
}

function bodyOf(answer: HttpAnswer, format: HttpConfig['format']): Json {
  const from = placeOf(answer.url);
  if (answer.body.length === 0) return null;
  if (format === 'json') return parseBody(answer.body, from);
  const lines = answer.body.toString('utf8').split('\n');
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => parseBody(Buffer.from(line), from));
}

interface Pager {
  first(begin: URL): URL;
  /** Undefined: that was the last. */
  next(answer: HttpAnswer, response: Response, begin: URL): URL | undefined;
}

function makePager({ paging }: HttpConfig, context: TaskContext): Pager {
  if (paging?.page !== undefined) return pagesByNumber(paging.page);
  if (paging?.offset !== undefined) return pagesByOffset(paging.offset);
  const first = (begin: URL): URL => begin;
  if (paging?.link === true) {
    return {
      first,
      next(answer) {
        const { link } = answer.headers;
        const target = nextLink(Array.isArray(link) ? link.join(', ') : link);
        return target === undefined ? undefined : urlOf(target, answer.url);
      },
    };
  }
  if (paging?.next !== undefined) {
    const nextOf = nextExpression(paging.next, context);
    return {
      first,
      next(answer, response, begin) {
        const value = nextOf(response);
        if (value === null || value === '' || value === false) return undefined;
        if (typeof value === 'string') return urlOf(value, answer.url);
        if (isRow(value)) return withQuery(begin, value as Parameters<typeof withQuery>[1]);
        throw new TaskError('data', 'paging_next', `paging.next gives ${JSON.stringify(value)}`, {
          hint: 'It must give a URL, a map for the query, or null at the end.',
        });
      },
    };
  }
  return { first, next: () => undefined };
}

type Paging = NonNullable<HttpConfig['paging']>;

function pagesByNumber({ param, from, sizeParam, size }: NonNullable<Paging['page']>): Pager {
  let page = from;
  const at = (begin: URL): URL => {
    const asked = sizeParam === undefined || size === undefined ? {} : { [sizeParam]: size };
    return withQuery(begin, { ...asked, [param]: page });
  };
  return {
    first: at,
    next(_answer, { rows }, begin) {
      if (rows < (size ?? 1)) return undefined;
      page += 1;
      return at(begin);
    },
  };
}

function pagesByOffset({ param, limitParam, limit }: NonNullable<Paging['offset']>): Pager {
  let offset = 0;
  const at = (begin: URL): URL => withQuery(begin, { [limitParam]: limit, [param]: offset });
  return {
    first: at,
    next(_answer, { rows }, begin) {
      if (rows < limit) return undefined;
      offset += rows;
      return at(begin);
    },
  };
}

/** A key that is missing is the end: that is how most APIs say it. */
function nextExpression(source: string, context: TaskContext): (response: Response) => unknown {
  const { parameters } = context.program;
  const expression = compileRowExpression(source, RESPONSE_NAMES, parameters);
  return (response) => {
    try {
      return expression.evaluate(subjectOf({ response })) ?? null;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      if (error.reason === 'missing_key' || error.reason === 'null_value') return null;
      throw new TaskError('data', 'paging_next', `paging.next ${source}: ${messageOf(error)}`);
    }
  };
}

function urlOf(text: string, from: URL): URL {
  const url = URL.canParse(text, from.href) ? new URL(text, from) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new TaskError('data', 'paging_next', `the next page is no URL: ${text.slice(0, 200)}`);
}

function refuseLoop(seen: Set<string>, url: URL): void {
  if (!seen.has(url.href)) {
    seen.add(url.href);
    return;
  }
  throw new TaskError('data', 'paging_loop', `${placeOf(url)} points at a page that was read`);
}

function tooManyPages(pagesMax: number): TaskError {
  return new TaskError('resources', 'pages_max', `there are more than ${pagesMax} pages`, {
    hint: 'Ask for larger pages or less, or raise pagesMax.',
  });
}
