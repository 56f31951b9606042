import { type DType, dtypes, type TypedArrays } from './dtype.js';
import { TenonError } from './errors.js';
import { bytesOf, checkNdArray, type NdArray } from './ndarray.js';

/** What a safetensors file holds: arrays by name, and text by name. */
export interface Safetensors {
  readonly tensors: { readonly [name: string]: NdArray };
  readonly metadata: { readonly [name: string]: string };
}

const maxHeader = 100_000_000;
// The second would set an object's prototype, not a name of its own.
const reserved: ReadonlySet<string> = new Set(['__metadata__', '__proto__']);
const byCode = new Map<string, DType>(
  (Object.keys(dtypes) as DType[]).map((dtype) => [dtypes[dtype].safetensors, dtype]),
);

/**
 * The bytes of a safetensors file: 8 bytes of header length (little-endian), a JSON header, the data. Arrays are
 * ordered by size of element, largest first (as in the reference implementation), then by name, so that each is
 * aligned; metadata is ordered by name. So the same content gives the same bytes, in whatever order it was given.
 * Format: https://github.com/huggingface/safetensors
 *
 * Throws `SHAPE_MISMATCH` or `DTYPE_MISMATCH` for an array that contradicts itself, and `SAFETENSORS_INVALID` for the
 * names `__metadata__` and `__proto__`.
 */
export function writeSafetensors(
  tensors: { readonly [name: string]: NdArray },
  metadata: { readonly [name: string]: string } = {},
): Uint8Array {
  const names = Object.keys(tensors).sort(
    (a, b) => dtypes[tensors[b].dtype].bytes - dtypes[tensors[a].dtype].bytes || (a < b ? -1 : 1),
  );
  const header: Record<string, unknown> = {};
  const notes = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, text] of notes) {
    if (typeof text !== 'string')
      throw invalid('writeSafetensors', `text as the metadata '${name}'`, typeof text);
  }
  if (notes.length > 0) header.__metadata__ = Object.fromEntries(notes);
  let end = 0;
  for (const name of names) {
    const { dtype, shape, data } = tensors[name];
    if (reserved.has(name)) throw invalid('writeSafetensors', 'a name that is not reserved', name);
    checkNdArray(tensors[name], name);
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
 * The arrays are copies. `where` names the file in messages.
 *
 * Nothing in the header is believed: throws `SAFETENSORS_INVALID` for lengths that aren't the file's, for offsets
 * that overlap, leave gaps or don't fit the shape, for a dtype that we don't hold, for duplicate names, and for the
 * name `__proto__`. Values aren't checked, but that booleans are 0 or 1: the format has no checksum.
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
  if (!isTextRecord(metadata)) throw invalid(where, '__metadata__ with text values', show(metadata));

  const dataLength = bytes.length - start;
  const ranges = Object.entries(entries).map(([name, entry]) => checkEntry(name, entry, dataLength, where));
  let covered = 0;
  for (const { name, begin, end } of [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered)
      throw invalid(`${where}, ${shorten(name)}`, `data that begins at ${covered}`, `${begin}`);
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
    // Not bytes.slice: that of a Buffer is a view.
    const data = Uint8Array.prototype.slice.call(bytes, start + begin, start + end);
    tensors[name] = decode(code, shape, data, `${where}, ${shorten(name)}`);
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
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw invalid(where, 'a JSON header', `${bytes.length} bytes that don't parse`, undefined, cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header) || text[0] !== '{') {
    throw invalid(where, 'a JSON object as the header', shorten(text));
  }
  // JSON.parse keeps the last of two equal names.
  const twice = namesInText(text) - namesIn(header);
  if (twice !== 0) throw invalid(where, 'every name once', `${twice} of them twice`);
  return header as Record<string, unknown>;
}

/** How many names a valid JSON text has, in all of its objects: its strings that a colon follows. */
function namesInText(text: string): number {
  let names = 0;
  let end = -1;
  for (let begin = text.indexOf('"'); begin >= 0; begin = text.indexOf('"', end + 1)) {
    end = text.indexOf('"', begin + 1);
    while (isEscaped(text, end)) end = text.indexOf('"', end + 1);
    let next = end + 1;
    while (' \t\n\r'.includes(text[next])) next++;
    if (text[next] === ':') names++;
  }
  return names;
}

function isEscaped(text: string, quote: number): boolean {
  let before = quote;
  while (text[before - 1] === '\\') before--;
  return (quote - before) % 2 === 1;
}

/** How many names the objects in a JSON value have. Without recursion, since a header may nest as deeply as it likes. */
function namesIn(value: object): number {
  let names = 0;
  const pending: object[] = [value];
  for (let node = pending.pop(); node; node = pending.pop()) {
    const children: unknown[] = Object.values(node);
    if (!Array.isArray(node)) names += children.length;
    for (const child of children) if (typeof child === 'object' && child !== null) pending.push(child);
  }
  return names;
}

function checkEntry(name: string, entry: unknown, dataLength: number, where: string): Range {
  const at = `${where}, ${shorten(name)}`;
  if (reserved.has(name)) throw invalid(where, 'names that are not reserved', name);
  if (typeof entry !== 'object' || entry === null) throw invalid(at, 'an object', show(entry));
  const { dtype: code, shape, data_offsets: offsets } = entry as Record<string, unknown>;
  if (typeof code !== 'string' || !(byCode.has(code) || code === 'F16' || code === 'BF16')) {
    throw invalid(at, `one of the dtypes ${[...byCode.keys(), 'F16', 'BF16'].join(', ')}`, show(code));
  }
  if (!isCounts(shape)) throw invalid(at, 'a shape of integers of at least 0', show(shape));
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1] || offsets[1] > dataLength) {
    throw invalid(at, `data_offsets within the ${dataLength} bytes of data`, show(offsets));
  }
  const dtype = byCode.get(code);
  const needed = byteLength(shape, dtype ? dtypes[dtype].bytes : 2);
  const [begin, end] = offsets;
  if (end - begin !== needed) {
    const amount = needed === null ? 'fewer than 2^53 bytes' : `${needed} bytes`;
    throw invalid(at, `${amount} for ${code} of shape ${show(shape)}`, `${end - begin}`);
  }
  return { name, code, shape, begin, end };
}

/** The bytes of an array of this shape; null where a product on the way isn't exact. */
function byteLength(shape: readonly number[], elementBytes: number): number | null {
  let length = elementBytes;
  for (const size of shape) {
    length *= size;
    if (!Number.isSafeInteger(length)) return null;
  }
  return length;
}

function decode(code: string, shape: readonly number[], bytes: Uint8Array, where: string): NdArray {
  const dtype = byCode.get(code);
  if (dtype) {
    if (dtype === 'bool' && bytes.some((byte) => byte > 1)) {
      throw invalid(where, 'bytes of 0 and 1 for BOOL', `${bytes.find((byte) => byte > 1)}`);
    }
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
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

/** A value from a header, for a message. */
function show(value: unknown): string {
  try {
    return shorten(JSON.stringify(value) ?? 'nothing');
  } catch {
    return 'a value that nests too deeply to be shown';
  }
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function invalid(where: string, expected: string, got: string, hint?: string, cause?: unknown): TenonError {
  return new TenonError({ code: 'SAFETENSORS_INVALID', where, expected, got, hint, cause });
}
