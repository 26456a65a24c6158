/**
 * CSV as RFC 4180 has it, read piece by piece: fields in quotes may hold delimiters, line ends and
 * doubled quotes; lines end with LF or CRLF; empty lines are left out.
 */
import type { Json } from '@runnel/shared/engine/record.ts';
import { limits } from '@runnel/shared/limits.ts';
import { TaskError } from '../tasks/task-error.ts';
import type { Row } from '../tasks/task-services.ts';

export interface CsvLine {
  /** Of the file, from 1, where it begins. */
  readonly line: number;
  readonly fields: readonly string[];
  /** A quote that is not closed, or text behind one. */
  readonly problem: string | undefined;
}

export class CsvReader {
  readonly #delimiter: string;
  #fields: string[] = [];
  #field = '';
  #state: 'start' | 'plain' | 'quoted' | 'closing' = 'start';
  #problem: string | undefined;
  #line = 1;
  #startLine = 1;
  #chars = 0;

  constructor(delimiter: string) {
    this.#delimiter = delimiter;
  }

  /** The lines that are complete; `end` says that no more text comes. */
  *feed(text: string, end = false): Generator<CsvLine> {
    for (let at = 0; at < text.length; at += 1) {
      const char = text[at] ?? '';
      if (char === '\n' && this.#state !== 'quoted') {
        this.#line += 1;
        const line = this.#take();
        if (line !== undefined) yield line;
      } else {
        if (char === '\n') this.#line += 1;
        this.#char(char);
      }
    }
    if (!end) return;
    if (this.#state === 'quoted') this.#problem ??= 'a quote that is not closed';
    const line = this.#take();
    if (line !== undefined) yield line;
  }

  #char(char: string): void {
    this.#chars += 1;
    if (this.#chars > limits.tableRowBytesMax) {
      const where = `the csv row at line ${this.#startLine}`;
      throw new TaskError('data', 'row_bytes', `${where} is longer than a row may be`, {
        hint: 'Look for a quote that is not closed.',
      });
    }
    if (this.#state === 'quoted') {
      if (char === '"') this.#state = 'closing';
      else this.#field += char;
    } else if (char === this.#delimiter) {
      this.#fields.push(this.#field);
      this.#field = '';
      this.#state = 'start';
    } else if (char === '"' && this.#state !== 'plain') {
      if (this.#state === 'closing') this.#field += '"';
      this.#state = 'quoted';
    } else if (char !== '\r') {
      if (this.#state === 'closing') this.#problem ??= 'text behind a closing quote';
      this.#field += char;
      this.#state = 'plain';
    }
  }

  #take(): CsvLine | undefined {
    const isEmpty = this.#chars === 0 || (this.#fields.length === 0 && this.#state === 'start');
    const fields = [...this.#fields, this.#field];
    const line = { line: this.#startLine, fields, problem: this.#problem };
    this.#fields = [];
    this.#field = '';
    this.#state = 'start';
    this.#problem = undefined;
    this.#startLine = this.#line;
    this.#chars = 0;
    return isEmpty ? undefined : line;
  }
}

export type CsvType = 'string' | 'number' | 'boolean' | 'json';

/** A field as the value that it stands for, or undefined where it stands for none. */
export function csvValue(text: string, type: CsvType): Json | undefined {
  if (type === 'string') return text;
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (type === 'number') {
    const value = Number(trimmed);
    return Number.isFinite(value) ? value : undefined;
  }
  if (type === 'boolean') return BOOLEANS[trimmed.toLowerCase()];
  try {
    return JSON.parse(trimmed) as Json;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  yes: true,
  '1': true,
  false: false,
  f: false,
  no: false,
  '0': false,
};

/** Fields in the order of the columns, without a line end; null is empty, maps are JSON. */
export function csvLine(row: Row, columns: readonly string[], delimiter: string): string {
  return columns.map((name) => csvField(row[name], delimiter)).join(delimiter);
}

export function csvField(value: Json | undefined, delimiter: string): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const isPlain = !text.includes(delimiter) && !/["\r\n]|^\s|\s$/.test(text) && text !== '';
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`;
}
