import type { DataLook } from '../worker/desk.js';

type Shape = readonly (number | null)[];

/** "8 × 8 × 32" of [null, 8, 8, 32]: without the batch. A single number for each example is "1". */
export function formatOutput(shape: Shape | null | undefined): string {
  if (!shape) return '–';
  const sizes = shape.slice(1).map((size) => (size === null ? '?' : String(size)));
  return sizes.length === 0 ? '1' : sizes.join(' × ');
}

/** How many classes or characters the data has, which the network gives a number for; null where any number will do. */
export function wantedOutputs({ classNames }: Pick<DataLook, 'classNames'>): number | null {
  return classNames.length > 0 ? classNames.length : null;
}

/** Whether a network gives what is learned: numbers for each example, of a text for each place. */
export function outputFits(
  output: Shape,
  { kind, classNames }: Pick<DataLook, 'kind' | 'classNames'>,
): boolean {
  const wanted = wantedOutputs({ classNames });
  return output.length === (kind === 'text' ? 3 : 2) && (wanted === null || output.at(-1) === wanted);
}
