/**
 * Writes src/digits/values.ts from the UCI digits: `node scripts/embed-digits.mjs FILE` where FILE is the CSV (or
 * .csv.gz) of 1797 rows, each with 64 values from 0 to 16 and the label.
 *
 * Three values make a number below 17³ = 4913, which is two characters of an alphabet of 71 (71² = 5041): two thirds of
 * a byte a value, in characters that need no escape in a JavaScript string.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#%()*+,-';

const [file] = process.argv.slice(2);
if (!file) throw new Error('usage: node scripts/embed-digits.mjs FILE');
const bytes = readFileSync(file);
const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
const rows = text
  .trim()
  .split('\n')
  .map((line) => line.split(',').map(Number));

const values = rows.flatMap((row) => row.slice(0, 64));
const labels = rows.map((row) => row[64]);
if (rows.length !== 1797 || rows.some((row) => row.length !== 65))
  throw new Error('expected 1797 rows of 65 values');
if (!values.every((value) => Number.isInteger(value) && value >= 0 && value <= 16))
  throw new Error('values: 0 to 16');
if (!labels.every((label) => Number.isInteger(label) && label >= 0 && label <= 9))
  throw new Error('labels: 0 to 9');

let packed = '';
for (let i = 0; i < values.length; i += 3) {
  const number = (values[i] * 17 + values[i + 1]) * 17 + values[i + 2];
  packed += ALPHABET[Math.floor(number / 71)] + ALPHABET[number % 71];
}
const code = `// Written by scripts/embed-digits.mjs; see info.ts for where the data comes from, and its licence.

/** Three values from 0 to 16 in each two characters; the row-major pixels of the images, one after another. */
export const ALPHABET = '${ALPHABET}';
export const PIXELS =
  '${packed}';
/** One label a character. */
export const LABELS =
  '${labels.join('')}';
`;
writeFileSync(join(import.meta.dirname, '../src/digits/values.ts'), code);
