import { createKey, fromNested, type NdArray, type Transform } from '@tenon-ml/core';
import { expectTypeOf } from 'vitest';
import { digits } from '../src/digits/index.js';
import {
  type CsvDataset,
  type DataIterator,
  type Dataset,
  type Example,
  fitTransform,
  fromArrays,
  fromCsv,
  fromExamples,
  normalize,
  transformInput,
} from '../src/index.js';

const key = createKey(1);
const data = fromArrays({ input: { image: fromNested([[1]], 'uint8') }, target: fromNested([1], 'int32') });
expectTypeOf(data).toEqualTypeOf<Dataset<Example<{ image: NdArray<'uint8'> }, NdArray<'int32'>>>>();
expectTypeOf(data.shuffle({ key }).batch(2).take(1).prefetch(1)).toEqualTypeOf(data);
expectTypeOf(data.length).toEqualTypeOf<number | null>();
expectTypeOf(data.iterator({ epoch: 1 })).toEqualTypeOf<
  DataIterator<Example<{ image: NdArray<'uint8'> }, NdArray<'int32'>>>
>();
expectTypeOf(fromArrays({ input: fromNested([1], 'uint8') })).toEqualTypeOf<
  Dataset<{ input: NdArray<'uint8'> }>
>();

// Functions are told what their options give them.
expectTypeOf(fromExamples([1, 2]).map(async (n) => String(n))).toEqualTypeOf<Dataset<string>>();
expectTypeOf(
  fromExamples([1]).map((n, context) => n + context.key.uniform([]).data[0], { key }),
).toEqualTypeOf<Dataset<number>>();
// @ts-expect-error without a key there is none
fromExamples([1]).map((n, context) => n + context.key.uniform([]).data[0]);

// The parts of a split have its names.
const parts = data.split({ train: 0.8, test: 0.2 }, { key, stratify: ({ target }) => target });
expectTypeOf(parts).resolves.toEqualTypeOf<{ readonly train: typeof data; readonly test: typeof data }>();
// @ts-expect-error how records are dealt has to be said
data.split({ train: 1 }, {});
// @ts-expect-error a shuffle has a key
data.shuffle({});

expectTypeOf(fromCsv('x,y\n1,2\n', { target: 'y' })).toEqualTypeOf<CsvDataset<Example>>();
expectTypeOf(fromCsv('x,y\n1,2\n')).toEqualTypeOf<CsvDataset<{ readonly input: NdArray }>>();

expectTypeOf(fitTransform(normalize(), digits())).resolves.toEqualTypeOf<Transform>();
const scaled = digits().map(transformInput(normalize()));
expectTypeOf(scaled).toExtend<Dataset<Example>>();
