import {
  DenseBincount,
  type DenseBincountAttrs,
  SearchSorted,
  type SearchSortedAttrs,
} from '@tensorflow/tfjs-core';
import { boolAttribute, typeAttribute } from '../binding.js';
import { defineKernel, type Kernel } from './kernel.js';

/** Where values would have to stand in rows that are sorted. */
const searchSorted = defineKernel<SearchSortedAttrs>(
  SearchSorted,
  ({ inputs: { sortedSequence, values }, attrs: { side }, ops }) => {
    const attributes = [typeAttribute('T', values.dtype), typeAttribute('out_type', 'int32')];
    return ops.one(side === 'left' ? 'LowerBound' : 'UpperBound', attributes, [sortedSequence, values]);
  },
);

/** How often each number occurs, in all or in each row; or the sums of its weights. */
const denseBincount = defineKernel<DenseBincountAttrs>(
  DenseBincount,
  ({ inputs: { x, weights }, attrs: { size, binaryOutput }, ops }) => {
    const attributes = [
      typeAttribute('Tidx', x.dtype),
      typeAttribute('T', weights.dtype),
      boolAttribute('binary_output', binaryOutput ?? false),
    ];
    return ops.one('DenseBincount', attributes, [x, ops.integers([size], []), weights]);
  },
);

export const searchKernels: readonly Kernel[] = [searchSorted, denseBincount];
