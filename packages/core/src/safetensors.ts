import { type DType, dtypes, type TypedArrays } from './dtype.js';
import { TenonError } from './errors.js';
import { bytesOf, type NdArray, sizeOf } from './ndarray.js';

/** What a safetensors file holds: arrays by name, and text by name. */
export interface Safetensors {
  readonly tensors: { readonly [name: string]: NdArray };
  readonly metadata: { readonly [name: string]: string };
}

const maxHeader = 100_000_000;
const byCode = new Map<string, DType>(
  (Object.keys(dtypes) as DType[]).map((dtype) => [dtypes[dtype].safetensors, dtype]),
);

/**
 * The bytes of a safetensors file: 8 bytes of header length (little-endian), a JSON header, the data. Arrays are
 * ordered by size of element, largest first, then by name, as the reference implementation does, so that each is
 * aligned and the same arrays give the same bytes. Format: https://github.com/huggingface/safetensors
 */
export function writeSafetensors(
  tensors: { readonly [name: string]: NdArray },
  metadata: { readonly [name: string]: string } = {},
): Uint8Array {
  const names = Object.keys(tensors).sort(
    (a, b) => dtypes[tensors[b].dtype].bytes - dtypes[tensors[a].dtype].bytes || (a < b ? -1 : 1),
  );
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let end = 0;
  for (const name of names) {
    const { dtype, shape, data } = tensors[name];
    if (name === '__metadata__') throw invalid('writeSafetensors', "a name other than '__metadata__'", name);
    header[name] = { dtype: dtypes[dtype].safetensors, shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const headerLength = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.fill(0x20, 8, 8 + headerLength);
  bytes.set(json, 8);
  let offset = 8 + headerLength;
  for (const name of names) {
    bytes.set(bytesOf(tensors[name].data), offset);
    offset += tensors[name].data.byteLength;
  }
  return bytes;
}

/**
 * The arrays and the metadata of a safetensors file. float16 and bfloat16 become float32, which holds them exactly.
 * The arrays are copies.
 *
 * Nothing in the header is believed: throws `SAFETENSORS_INVALID` for lengths that aren't the file's, for offsets
 * that overlap, leave gaps or don't fit the shape, for a dtype that we don't hold, and for duplicate names.
 */
export function readSafetensors(bytes: Uint8Array, where = 'safetensors'): Safetensors {
  if (bytes.length < 8) throw invalid(where, 'at least 8 bytes', `${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const declared = view.getBigUint64(0, true);
  if (declared > BigInt(Math.min(bytes.length - 8, maxHeader))) {
    throw invalid(
      where,
      `a header of at most ${Math.min(bytes.length - 8, maxHeader)} bytes`,
      `one that claims ${declared}`,
    );
  }
  const start = 8 + Number(declared);
  const { __metadata__: metadata = {}, ...entries } = parseHeader(bytes.subarray(8, start), where);
  if (!isTextRecord(metadata))
    throw invalid(where, '__metadata__ with text values', JSON.stringify(metadata));

  const dataLength = bytes.length - start;
  const ranges = Object.entries(entries).map(([name, entry]) => checkEntry(name, entry, dataLength, where));
  let covered = 0;
  for (const { name, begin, end } of [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) throw invalid(`${where}, ${name}`, `data that begins at ${covered}`, `${begin}`);
    covered = end;
  }
  if (covered !== dataLength) {
    throw invalid(
      where,
      `${covered} bytes of data, as the header says`,
      `${dataLength}`,
      'The file is cut off, or has something appended.',
    );
  }

  const tensors: Record<string, NdArray> = {};
  for (const { name, code, shape, begin, end } of ranges) {
    tensors[name] = decode(code, shape, bytes.slice(start + begin, start + end));
  }
  return { tensors, metadata };
}

interface Range {
  readonly name: string;
  readonly code: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function parseHeader(bytes: Uint8Array, where: string): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw invalid(where, 'a JSON header', `${bytes.length} bytes that don't parse`, undefined, cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header) || text[0] !== '{') {
    throw invalid(where, 'a JSON object as the header', text.slice(0, 40));
  }
  checkDuplicates(text, Object.keys(header).length, where);
  return header as Record<string, unknown>;
}

/** JSON.parse keeps the last of two equal names; counting the names at the top level finds them. */
function checkDuplicates(text: string, unique: number, where: string): void {
  let depth = 0;
  let names = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && token.endsWith(':')) names++;
  }
  if (names !== unique) throw invalid(where, 'every name once', `${names - unique} of them twice`);
}

function checkEntry(name: string, entry: unknown, dataLength: number, where: string): Range {
  const at = `${where}, ${name}`;
  if (typeof entry !== 'object' || entry === null) throw invalid(at, 'an object', JSON.stringify(entry));
  const { dtype: code, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  if (typeof code !== 'string' || !(byCode.has(code) || code === 'F16' || code === 'BF16')) {
    throw invalid(
      at,
      `one of the dtypes ${[...byCode.keys(), 'F16', 'BF16'].join(', ')}`,
      JSON.stringify(code),
    );
  }
  if (!isCounts(shape)) throw invalid(at, 'a shape of integers of at least 0', JSON.stringify(shape));
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1] || offsets[1] > dataLength) {
    throw invalid(at, `data_offsets within the ${dataLength} bytes of data`, JSON.stringify(offsets));
  }
  const dtype = byCode.get(code);
  const needed = sizeOf(shape) * (dtype ? dtypes[dtype].bytes : 2);
  const [begin, end] = offsets;
  if (end - begin !== needed) {
    throw invalid(at, `${needed} bytes for ${code} of shape [${shape.join(', ')}]`, `${end - begin}`);
  }
  return { name, code, shape, begin, end };
}

function decode(code: string, shape: readonly number[], bytes: Uint8Array): NdArray {
  const dtype = byCode.get(code);
  if (dtype) {
    const length = bytes.byteLength / dtypes[dtype].bytes;
    return { dtype, shape, data: dtypes[dtype].view(bytes.buffer, 0, length) } as NdArray;
  }
  const halves = new Uint16Array(bytes.buffer);
  const data: TypedArrays['float32'] = code === 'F16' ? Float32Array.from(halves, float16) : bfloat16(halves);
  return { dtype: 'float32', shape, data };
}

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

function bfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const words = Uint32Array.from(halves, (half) => half << 16);
  return new Float32Array(words.buffer);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function isTextRecord(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

function invalid(where: string, expected: string, got: string, hint?: string, cause?: unknown): TenonError {
  return new TenonError({ code: 'SAFETENSORS_INVALID', where, expected, got, hint, cause });
}
