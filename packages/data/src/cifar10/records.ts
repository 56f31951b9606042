import { TenonError } from '@tenon-ml/core';

/** Images a side, in pixels, and their channels: red, green, blue. */
export const SIDE = 32;
export const CHANNELS = 3;
/** The bytes of an image. */
export const IMAGE_BYTES = SIDE * SIDE * CHANNELS;
/** A record: one byte for the label, then the planes of red, green and blue, each row by row. */
export const RECORD_BYTES = 1 + IMAGE_BYTES;

/**
 * How many records a file of so many bytes has. Throws `DATA_INVALID` where that is no whole number, or not the one that
 * is expected, with the file.
 */
export function countRecords(length: number, file: string, expected?: number): number {
  const count = Math.floor(length / RECORD_BYTES);
  const whole = length % RECORD_BYTES === 0;
  if (whole && (expected === undefined || count === expected)) return count;
  throw new TenonError({
    code: 'DATA_INVALID',
    where: file,
    expected:
      expected === undefined
        ? `records of ${RECORD_BYTES} bytes`
        : `${expected * RECORD_BYTES} bytes, ${expected} records of ${RECORD_BYTES}`,
    got: `${length} bytes, which end ${whole ? `after ${count} records` : `within record ${count}`}`,
    hint: 'The file is cut off or not of the binary version: copy or download it again.',
  });
}

/**
 * Decodes whole records into images [32, 32, 3] and labels, from image `at` on. Throws `DATA_INVALID` for a label above 9,
 * with the file and the record.
 */
export function decodeRecords(
  bytes: Uint8Array,
  file: string,
  into: { readonly pixels: Uint8Array; readonly labels: Int32Array },
  at = 0,
): void {
  const count = countRecords(bytes.length, file);
  const { pixels, labels } = into;
  const plane = SIDE * SIDE;
  for (let record = 0; record < count; record++) {
    const begin = record * RECORD_BYTES;
    const label = bytes[begin];
    if (label > 9) {
      throw new TenonError({
        code: 'DATA_INVALID',
        where: `${file}, record ${record}`,
        expected: `a label from 0 to 9 (byte ${begin})`,
        got: String(label),
        hint: 'The file is damaged or not of the binary version: copy or download it again.',
      });
    }
    labels[at + record] = label;
    let to = (at + record) * IMAGE_BYTES;
    for (let red = begin + 1; red <= begin + plane; red++) {
      pixels[to] = bytes[red];
      pixels[to + 1] = bytes[red + plane];
      pixels[to + 2] = bytes[red + 2 * plane];
      to += CHANNELS;
    }
  }
}
