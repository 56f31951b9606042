import type { NdArray } from '@tenon-ml/core';
import type { Dataset, DatasetInfo, Example } from '../dataset.js';
import { fromArrays } from '../sources.js';
import { ALPHABET, LABELS, PIXELS } from './values.js';

/** The terms and the source of the digits. */
export const digitsInfo: DatasetInfo = {
  name: 'digits',
  description:
    'Optical recognition of handwritten digits: 1797 images of 8 × 8 pixels with values from 0 to 16, by 13 writers (the test set of the original).',
  licence: 'CC-BY-4.0',
  citation:
    'E. Alpaydin and C. Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning Repository. https://doi.org/10.24432/C50P49',
  url: 'https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits',
  classNames: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
};

/** How many images there are. */
const COUNT = 1797;

/**
 * The 1797 handwritten digits of UCI (what scikit-learn's `load_digits` gives), embedded: nothing is downloaded.
 *
 * `input` is uint8 [8, 8, 1] with values from 0 (paper) to 16 (ink), row by row; `target` is the label, int32 [].
 * Divide by 16 with `rescale({ scale: 1 / 16 })`. Each call unpacks them anew, in a few milliseconds.
 *
 * E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, CC BY 4.0:
 * whoever passes them on names the source; `digitsInfo` has it.
 */
export function digits(): Dataset<Example<NdArray<'uint8'>, NdArray<'int32'>>> {
  return fromArrays<NdArray<'uint8'>, NdArray<'int32'>>({
    input: { dtype: 'uint8', shape: [COUNT, 8, 8, 1], data: unpack(PIXELS, COUNT * 64) },
    target: { dtype: 'int32', shape: [COUNT], data: Int32Array.from(LABELS, Number) },
  });
}

/** The values of a packed text: two characters hold three base-17 digits. */
function unpack(text: string, count: number): Uint8Array {
  const digitOf = new Uint8Array(128);
  for (let i = 0; i < ALPHABET.length; i++) digitOf[ALPHABET.charCodeAt(i)] = i;
  const values = new Uint8Array(count);
  for (let i = 0, at = 0; at < count; i += 2) {
    const number = digitOf[text.charCodeAt(i)] * ALPHABET.length + digitOf[text.charCodeAt(i + 1)];
    values[at++] = Math.floor(number / 289);
    values[at++] = Math.floor(number / 17) % 17;
    values[at++] = number % 17;
  }
  return values;
}
