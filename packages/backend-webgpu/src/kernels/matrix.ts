import type { TensorInfo } from '@tensorflow/tfjs-core';
import { type Factor, oneByOne, vector } from './product.js';

/** An axis of a batch: its length, and how far apart an operand's matrices lie along it (0: the same for all). */
export interface BatchAxis {
  readonly length: number;
  readonly stride: number;
}

/**
 * A matrix of so many lines (rows of a left factor, columns of a right one) of `inner` terms, as it lies in memory: line
 * after line, or, `across`, term after term.
 */
export function matrixFactor(
  side: 'left' | 'right',
  tensor: TensorInfo,
  lines: number,
  inner: number,
  across: boolean,
  axes: readonly BatchAxis[] = [],
): Factor {
  const [name, array] = side === 'left' ? ['a', 'x0'] : ['b', 'x1'];
  // The elements of a line lie one after another, and each line begins at a whole vector.
  const wide = !across && inner % 4 === 0;
  const place = across ? `u32(line.x) + $k * u.${name}Step` : 'u32(line.x) + $k';
  return {
    tensor,
    key: `${across ? 'across' : 'along'}${wide ? 4 : ''}/${axes.length}`,
    element: wide ? 'vec4f' : 'f32',
    neighbours: across ? 'across' : 'along',
    uniforms: [
      `${name}Step: u32`,
      ...axes.flatMap((_, i) => [`${name}Length${i}: u32`, `${name}Stride${i}: u32`]),
    ],
    words: [across ? lines : inner, ...axes.flatMap(({ length, stride }) => [length, stride])],
    line: [
      'var rest = batch;',
      across ? 'var place = index;' : `var place = index * u.${name}Step;`,
      ...axes
        .map(
          (_, i) => `place += rest % u.${name}Length${i} * u.${name}Stride${i}; rest /= u.${name}Length${i};`,
        )
        .reverse(),
      'return vec4i(i32(place), 0, 0, 0);',
    ].join('\n'),
    four: wide ? vector(array, place.replace('$k', 'k')) : oneByOne(`${array}[${place}]`),
  };
}
