import { basename } from 'node:path';
import {
  cast,
  formatShape,
  isTenonError,
  type NdArray,
  ndarray,
  reshaped,
  TenonError,
  type TensorSpec,
  type Tree,
  treeEntries,
} from '@tenon-ml/core';
import { fromCsv, parseCsv } from '@tenon-ml/data';
import { readCsvText } from '@tenon-ml/data/node';

/** A file by its path, or what it holds and what to call it; the name's extension tells the format. */
export type InputFile = string | { readonly bytes: Uint8Array; readonly name: string };

/**
 * The examples in a file, as a batch of a model's input: [examples, …], of the signature's dtype (float32 but for models
 * that take integers).
 *
 * - `.json`: one example or a batch of them as nested arrays, told apart by their depth; `{ "inputs": … }` around it is
 *   allowed.
 * - `.csv`: a record an example, its numbers in row-major order; a first record of names only is a header.
 *
 * Either may be compressed with gzip (`.csv.gz`). Throws `DATA_INVALID` with the file, the line (JSON: the indices), what
 * was expected and what came, `INVALID_ARGUMENT` for another extension, `NOT_FOUND`, `PERMISSION_DENIED`, and `USAGE` for
 * a model of several inputs.
 */
export async function decodeInputFile(file: InputFile, signature: Tree<TensorSpec>): Promise<NdArray> {
  const name = typeof file === 'string' ? file : file.name;
  const decode = { json: decodeJson, csv: decodeCsv }[extensionOf(name)];
  const text = typeof file === 'string' ? await readCsvText(file) : decodeText(file.bytes, name);
  return decode(text, name, signature);
}

function extensionOf(name: string): 'json' | 'csv' {
  const extension = /\.(json|csv)(?:\.gz)?$/i.exec(name)?.[1].toLowerCase();
  if (extension === 'json' || extension === 'csv') return extension;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: name,
    expected: 'a file of examples, .json or .csv',
    got: `'${basename(name)}'`,
    hint: 'JSON holds nested arrays, one example or a batch; CSV one example a line.',
  });
}

/** Bytes as UTF-8 text. Throws `DATA_INVALID`. */
export function decodeText(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(name, 'UTF-8 text', 'bytes that are none', undefined, cause);
  }
}

/** The examples in a JSON text. See `decodeInputFile`. */
export function decodeJson(text: string, name: string, signature: Tree<TensorSpec>): NdArray {
  const spec = singleInput(signature);
  const parsed = parseJson(text, name);
  const wrapped = typeof parsed === 'object' && parsed !== null && Object.hasOwn(parsed, 'inputs');
  const value = wrapped ? (parsed as { readonly inputs: unknown }).inputs : parsed;
  const where = wrapped ? `${name}, inputs` : name;

  const example = spec.shape.slice(1);
  const found = shapeOf(value);
  if (found[0] === 0 && found.length === 1) throw invalid(where, 'at least one example', 'an empty array');
  const isBatch = found.length === spec.shape.length;
  if (!isBatch && found.length !== example.length) {
    throw invalid(
      where,
      `nested arrays of numbers, one example ${formatExample(example)} or a batch ${formatShape(spec.shape)}`,
      describe(value, found),
      example.at(-1) === 1
        ? 'The last axis counts too: an array of one number.'
        : `Nest them ${example.length} or ${spec.shape.length} deep.`,
    );
  }
  const examples = (isBatch ? value : [value]) as readonly unknown[];
  const first = isBatch ? found.slice(1) : found;
  // A free axis is as long as the first example has it.
  const shape = example.map((length, axis) => length ?? first[axis]);
  const numbers: number[] = [];
  const walk = (node: unknown, axis: number, path: string): void => {
    const at = path === '' ? where : `${where}${wrapped ? '' : ', '}${path}`;
    if (axis === shape.length) {
      numbers.push(checkNumber(node, at));
    } else if (Array.isArray(node) && node.length === shape[axis]) {
      for (const [i, child] of node.entries()) walk(child, axis + 1, `${path}[${i}]`);
    } else {
      throw invalid(
        at,
        `an array of ${shape[axis]} ${axis === shape.length - 1 ? 'numbers' : 'arrays'}`,
        Array.isArray(node) ? `one of ${node.length}` : describe(node, []),
        `An example is ${formatExample(example)}.`,
      );
    }
  };
  for (const [i, node] of examples.entries()) walk(node, 0, isBatch ? `[${i}]` : '');
  return toInput(Float64Array.from(numbers), [examples.length, ...shape], spec, name);
}

/** The examples in a CSV text. See `decodeInputFile`. */
export async function decodeCsv(text: string, name: string, signature: Tree<TensorSpec>): Promise<NdArray> {
  const spec = singleInput(signature);
  const example = spec.shape.slice(1);
  const size = example.reduce<number | null>((a, b) => (a === null || b === null ? null : a * b), 1);
  if (size === null) {
    throw new TenonError({
      code: 'USAGE',
      where: name,
      expected: 'JSON, for a model whose examples differ in size',
      got: 'CSV',
      hint: `Its input is ${formatShape(spec.shape)}.`,
    });
  }
  const [first] = parseCsv(text, { file: name, header: false }).rows;
  const columns = first?.length ?? size;
  if (columns !== size) {
    const hint =
      columns === 1 && /[;\t]/.test(text)
        ? 'Columns are separated by commas.'
        : columns === size + 1
          ? 'Leave out the label.'
          : undefined;
    const expected = `${size} columns, the numbers of an example ${formatExample(example)}`;
    throw invalid(`${name}:1`, expected, String(columns), hint);
  }
  const { examples } = fromCsv(text, { file: name, header: first?.every(isName) ?? false });
  const count = examples.length ?? 0;
  for await (const { input } of examples.batch(count)) {
    const { data } = input as NdArray<'float32'>;
    return toInput(Float64Array.from(data), [count, ...(example as number[])], spec, name);
  }
  throw invalid(name, 'at least one example', 'none');
}

/** A cell of a header: neither a number nor a stand-in for one that is missing. */
function isName(cell: string): boolean {
  const text = cell.trim();
  return text !== '' && Number.isNaN(Number(text)) && !/^([+-]?(nan|inf)|n\/?a|null|none|\W+)$/i.test(text);
}

function singleInput(signature: Tree<TensorSpec>): TensorSpec {
  const [[path, spec], ...more] = treeEntries<TensorSpec>(signature);
  if (path === '' && more.length === 0) return spec;
  throw new TenonError({
    code: 'USAGE',
    where: 'input',
    expected: 'a model with one array as its input',
    got: `one with ${[path, ...more.map(([name]) => name)].join(', ')}`,
    hint: 'Use the model from a program: loadModel(…), then model.predict({ … }).',
  });
}

function toInput(values: Float64Array, shape: readonly number[], spec: TensorSpec, name: string): NdArray {
  const array = ndarray('float64', [values.length], values);
  try {
    return reshaped(cast(array, spec.dtype), shape);
  } catch (error) {
    throw isTenonError(error) ? error.within(name) : error;
  }
}

function checkNumber(value: unknown, where: string): number {
  if (typeof value !== 'number') throw invalid(where, 'a number', describe(value, shapeOf(value)));
  if (Number.isFinite(Math.fround(value))) return value;
  throw invalid(where, 'a number that float32 holds', String(value));
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch (cause) {
    const { message } = cause as Error;
    const position = Number(/position (\d+)/.exec(message)?.[1] ?? text.trimEnd().length);
    const line = text.slice(0, position).split('\n').length;
    const what = message.replace(/,? (in JSON )?at position.*$/s, '').replace(/ in JSON$/, '');
    throw invalid(`${name}:${line}`, 'JSON', what || 'something else', undefined, cause);
  }
}

function formatExample(shape: readonly (number | null)[]): string {
  return `[${shape.map((length) => length ?? 'any').join(', ')}]`;
}

/** How deep arrays are nested, and how long each is, along the first elements. */
function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let level = value; Array.isArray(level); level = level[0]) shape.push(level.length);
  return shape;
}

function describe(value: unknown, shape: readonly number[]): string {
  if (shape.length > 0) {
    return `arrays nested ${shape.length} deep${shape.length > 8 ? '' : `, ${formatShape(shape)}`}`;
  }
  if (value === null) return 'null';
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === 'number') return `the number ${value}`;
  return typeof value === 'boolean'
    ? String(value)
    : `an object with ${
        Object.keys(value as object)
          .slice(0, 5)
          .join(', ') || 'nothing in it'
      }`;
}

function invalid(where: string, expected: string, got: string, hint?: string, cause?: unknown): TenonError {
  return new TenonError({ code: 'DATA_INVALID', where, expected, got, hint, cause });
}
