import { TenonError } from '@tenon-ml/core';

/** A CSV text that has been found to be well-formed. */
export interface ScannedCsv {
  /** Without a byte-order mark and blank lines at the end; every line ends in \n, the last one too. */
  readonly text: string;
  /** The line that each record begins on, from 1, and its place in `text`. */
  readonly lines: readonly number[];
  readonly starts: readonly number[];
  /** How many fields every record has. */
  readonly fields: number;
}

/**
 * Holds a text against RFC 4180, and counts lines.
 *
 * udsv, which splits it afterwards, is for well-formed text: a record that is short takes fields from the next line, and
 * one that is long, or a quote that isn't closed, passes without a word.
 */
export function scanRecords(raw: string, delimiter: string, file: string): ScannedCsv {
  const text = oneLineEnd(raw.charCodeAt(0) === 0xfeff ? raw.slice(1) : raw, file);
  const lines: number[] = [];
  const starts: number[] = [];
  let fields = 0;
  let line = 1;
  let at = 0;
  const fail = (on: number, expected: string, got: string, hint?: string): TenonError =>
    new TenonError({ code: 'DATA_INVALID', where: `${file}:${on}`, expected, got, hint });

  /** Moves behind the quoted field that begins here. */
  const quoted = (): void => {
    const opened = line;
    for (at++; ; at++) {
      if (at === text.length) throw fail(opened, 'the quote opened here to be closed', 'the end of the file');
      if (text[at] === '\n') line++;
      if (text[at] !== '"') continue;
      if (text[at + 1] !== '"') break;
      at++;
    }
    at++;
    if (text[at] === delimiter || text[at] === '\n') return;
    const expected = `'${delimiter}' or the end of the line after a closing quote`;
    throw fail(line, expected, `'${text[at]}'`, 'A quote within quotes is written twice.');
  };
  const unquoted = (): void => {
    for (; text[at] !== delimiter && text[at] !== '\n'; at++) {
      if (text[at] !== '"') continue;
      throw fail(line, 'no quote within an unquoted field', 'one', 'Quote the whole field.');
    }
  };

  while (at < text.length) {
    const first = line;
    lines.push(first);
    starts.push(at);
    if (text[at] === '\n') throw fail(first, fields > 0 ? plural(fields) : 'a record', 'a blank line');
    let count = 0;
    for (let more = true; more; at++) {
      if (text[at] === '"') quoted();
      else unquoted();
      count++;
      more = text[at] === delimiter;
    }
    line++;
    if (lines.length > 1 && count !== fields) throw fail(first, plural(fields), String(count));
    fields = count;
  }
  return { text, lines, starts, fields };
}

/** The text with \n at the end of every line, and one at its own end. */
function oneLineEnd(raw: string, file: string): string {
  let text = raw.includes('\r') ? raw.replaceAll('\r\n', '\n') : raw;
  const lone = text.indexOf('\r');
  if (lone >= 0) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: `${file}:${text.slice(0, lone).split('\n').length}`,
      expected: 'lines that end in \\n or \\r\\n',
      got: 'a carriage return alone',
    });
  }
  let end = text.length;
  while (end > 0 && text[end - 1] === '\n') end--;
  text = text.slice(0, end);
  return text === '' ? '' : `${text}\n`;
}

function plural(fields: number): string {
  return fields === 1 ? '1 field' : `${fields} fields`;
}
