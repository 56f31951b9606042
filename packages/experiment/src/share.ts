import { hash32, TenonError } from '@tenon-ml/core';
import type { ExperimentDocument } from './document.js';
import { parseDocument } from './read_document.js';

/** No document is as large, and a text that says more than this isn't inflated to its end. */
const limit = 1 << 18;

/**
 * A document as text that a link's fragment holds: letters, digits, `-` and `_`. Its JSON behind four bytes of a checksum,
 * deflated (RFC 1951), in base64url without padding. A network of a dozen layers takes well under 1 kB.
 */
export async function documentToText(document: ExperimentDocument): Promise<string> {
  const json = new TextEncoder().encode(JSON.stringify(document));
  const bytes = new Uint8Array(4 + json.length);
  bytes.set(checksum(json));
  bytes.set(json, 4);
  const deflated = await piped(bytes, new CompressionStream('deflate-raw'), Number.POSITIVE_INFINITY);
  const binary = Array.from(deflated, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/**
 * The document in such a text. Throws `INVALID_ARGUMENT` for one that is cut off or damaged anywhere (at most 256 kB are
 * inflated), and what `readDocument` throws for a document of another make.
 */
export async function documentFromText(text: string): Promise<ExperimentDocument> {
  let json: Uint8Array;
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    const deflated = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const bytes = await piped(deflated, new DecompressionStream('deflate-raw'), limit);
    json = bytes.subarray(4);
    if (checksum(json).some((byte, i) => byte !== bytes[i])) throw new RangeError('another checksum');
  } catch (cause) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: 'link',
      expected: 'the text of an experiment, whole',
      got: `${text.length} characters that are none, or are cut off`,
      hint: 'Copy the link again, to its end.',
      cause,
    });
  }
  return parseDocument(new TextDecoder().decode(json), 'link');
}

/** What comes out of a stream for these bytes. Throws `RangeError` once that is more than `most`. */
async function piped(
  bytes: Uint8Array,
  through: { readonly readable: ReadableStream; readonly writable: WritableStream },
  most: number,
): Promise<Uint8Array> {
  const writer = through.writable.getWriter();
  // What fails in writing fails in reading too, where it is caught.
  const written = Promise.all([writer.write(bytes), writer.close()]).catch(() => {});
  const reader = through.readable.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (length > most) {
      await reader.cancel().catch(() => {});
      throw new RangeError(`more than ${most} bytes`);
    }
  }
  await written;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function checksum(bytes: Uint8Array): Uint8Array {
  const hash = hash32(new TextDecoder().decode(bytes));
  return Uint8Array.of(hash & 255, (hash >> 8) & 255, (hash >> 16) & 255, hash >>> 24);
}
