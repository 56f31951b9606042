import {
  defineLayer,
  gatherRows,
  type Layer,
  type Leaf,
  type None,
  sizeOf,
  TenonError,
  type TensorSpec,
} from '@tenon-ml/core';
import { add, reshape, slice, type Tensor, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { frozenLayer } from './frozen.js';
import { type Initializer, initialize, readInitializer } from './initializers.js';
import { checkSequence, type InputLike, leaves, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/** Parameters of `embedding` and `positionEmbedding`. */
export type EmbeddingParams = { readonly table: Leaf };

export interface EmbeddingOptions {
  /** Of the table (default 'uniform': U(±0.05)). GPT-2 has { initializer: 'normal', standardDeviation: 0.02 }. */
  readonly initializer?: Initializer;
}

/**
 * A vector for each token: y = table[id].
 *
 * Shapes: ids int32 [batch, …], from 0 to vocabulary − 1; table float32 [vocabulary, width]; y float32 [batch, …, width].
 * The gradient adds up over the places of an id. An id out of range isn't looked for in a compiled step: check the data.
 *
 * Throws `INVALID_ARGUMENT`, `DTYPE_MISMATCH` for ids that aren't int32 and `SHAPE_MISMATCH` for a scalar.
 *
 * The initial table is Keras's; PyTorch draws from N(0, 1).
 */
export function embedding(
  vocabulary: number,
  width: number,
  options: EmbeddingOptions = {},
): Layer<EmbeddingParams, None> {
  return embeddingOf({ ...options, vocabulary, width }, fromCall('embedding'));
}

/** Rebuilds `embedding` from its spec. */
export const embeddingDefinition = /* @__PURE__ */ defineLayer({
  name: 'embedding',
  version: 1,
  build: (spec, _registry, path) => embeddingOf(specOptions(spec), fromSpec(path, 'embedding')),
});

/**
 * Learned positions: y[n, t] = x[n, t] + table[t]. Between `embedding` and the blocks of a transformer, which don't know
 * the order of their inputs otherwise: `sequential({ tokens: embedding(65, 128), positions: positionEmbedding(256), … })`.
 *
 * Shapes: x float32 [batch, time, width], time at most `length`; table [length, width]; y as x.
 *
 * Throws `INVALID_ARGUMENT`, and `SHAPE_MISMATCH` for other ranks and for sequences that are longer than the table.
 *
 * It adds the table by itself, where GPT-2's code adds the outputs of two embeddings and KerasHub's `PositionEmbedding`
 * gives the table alone.
 */
export function positionEmbedding(
  length: number,
  options: EmbeddingOptions = {},
): Layer<EmbeddingParams, None> {
  return positionEmbeddingOf({ ...options, length }, fromCall('positionEmbedding'));
}

/** Rebuilds `positionEmbedding` from its spec. */
export const positionEmbeddingDefinition = /* @__PURE__ */ defineLayer({
  name: 'positionEmbedding',
  version: 1,
  build: (spec, _registry, path) =>
    positionEmbeddingOf(specOptions(spec), fromSpec(path, 'positionEmbedding')),
});

function embeddingOf(raw: RawOptions, source: OptionSource): Layer<EmbeddingParams, None> {
  const options = readOptions(raw, source);
  const vocabulary = options.positiveInteger('vocabulary');
  const width = options.positiveInteger('width');
  const initializer = readInitializer(options, 'initializer', 'uniform');
  options.end();

  return frozenLayer<EmbeddingParams, None>({
    spec: { layer: 'embedding', version: 1, vocabulary, width, initializer },
    init(key, input: TensorSpec, path = '') {
      const where = path || 'embedding';
      checkIds(input, where);
      return {
        params: { table: initialize(initializer, key.foldIn('table'), [vocabulary, width], where) },
        state: {},
        output: { dtype: 'float32', shape: [...input.shape, width] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'embedding';
      const [table] = leaves(params, ['table'], where);
      checkIds(input, where);
      const ids = input.rank === 1 ? input : reshape(input, [sizeOf(input.shape)]);
      const rows = gatherRows(table as Tensor2D, ids as Tensor1D);
      return { output: reshape(rows, [...input.shape, width]), state };
    },
  });
}

function positionEmbeddingOf(raw: RawOptions, source: OptionSource): Layer<EmbeddingParams, None> {
  const options = readOptions(raw, source);
  const length = options.positiveInteger('length');
  const initializer = readInitializer(options, 'initializer', 'uniform');
  options.end();

  return frozenLayer<EmbeddingParams, None>({
    spec: { layer: 'positionEmbedding', version: 1, length, initializer },
    init(key, input: TensorSpec, path = '') {
      const where = path || 'positionEmbedding';
      const width = checkSequence(input, where);
      checkLength(input, length, where);
      return {
        params: { table: initialize(initializer, key.foldIn('table'), [length, width], where) },
        state: {},
        output: { dtype: 'float32', shape: [...input.shape] },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'positionEmbedding';
      const [table] = leaves(params, ['table'], where);
      const width = checkSequence(input, where, table.shape[1]);
      checkLength(input, length, where);
      const time = input.shape[1] as number;
      return { output: add(input, time === length ? table : slice(table, [0, 0], [time, width])), state };
    },
  });
}

function checkIds(input: InputLike, where: string): void {
  if (input.dtype !== 'int32') {
    throw new TenonError({
      code: 'DTYPE_MISMATCH',
      where,
      expected: 'ids of int32',
      got: `${input.dtype} [${input.shape.map((size) => size ?? 'free').join(', ')}]`,
      hint: 'Map tokens to integers from 0 on, in an int32 array.',
    });
  }
  if (input.shape.length === 0) throw shapeError(where, '[batch, …]', input);
}

function checkLength(input: InputLike, length: number, where: string): void {
  const time = input.shape[1];
  if (time === null || time <= length) return;
  const hint = 'Cut the sequences, or make the table longer.';
  throw shapeError(where, `[batch, time, width] with a time of at most ${length}`, input, hint);
}
