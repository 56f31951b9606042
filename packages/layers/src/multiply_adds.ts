import {
  type AnyLayer,
  isNdArray,
  type NdArray,
  type Params,
  sizeOf,
  type TensorSpec,
  treeEntries,
} from '@tenon-ml/core';

/** A call of a layer: what it counts from. */
interface Call {
  readonly params: Params<NdArray>;
  readonly input: readonly (number | null)[];
  readonly output: readonly (number | null)[];
}

type Count = (call: Call) => number | null;

const none: Count = () => 0;

/** All kernels, applied at each place of the output: the axes between the batch and the last. */
const atEachPlace: Count = ({ params, output }) => times(kernelSize(params), output.slice(1, -1));

/** All kernels, at each time of the input. */
const atEachTime: Count = ({ params, input }) => times(kernelSize(params), [input[1]]);

/** The projections, and the products Q·Kᵀ and weights·V, each time² · width. */
const attention: Count = (call) => {
  const [, time, width] = call.input;
  const projections = atEachTime(call);
  return projections === null || time === null || width === null
    ? null
    : projections + 2 * time * time * width;
};

const counts: { readonly [layer: string]: Count } = {
  avgPool2d: none,
  batchNorm: none,
  conv2d: atEachPlace,
  dense: atEachPlace,
  dropout: none,
  embedding: none,
  feedForward: atEachTime,
  flatten: none,
  gelu: none,
  globalAvgPool2d: none,
  layerNorm: none,
  lstm: atEachTime,
  maxPool2d: none,
  multiHeadAttention: attention,
  positionEmbedding: none,
  relu: none,
  // Its convolutions all give images of the output's size.
  resnetBlock: atEachPlace,
  sigmoid: none,
  softmax: none,
  tanh: none,
  transformerBlock: attention,
};

/** The multiply-adds of one call of a layer that isn't taken apart, for one example; null where they aren't known. */
export function multiplyAddsOf(
  { spec }: AnyLayer,
  params: Params<NdArray>,
  input: TensorSpec,
  output: TensorSpec,
): number | null {
  const count = Object.hasOwn(counts, spec.layer) ? counts[spec.layer] : undefined;
  return count?.({ params, input: input.shape, output: output.shape }) ?? null;
}

/** The numbers in all kernels: parameters called so, of rank 2 or more. */
function kernelSize(params: Params<NdArray>): number {
  return treeEntries<NdArray>(params)
    .filter(([path, value]) => isNdArray(value) && /(^|\.)(kernel|recurrentKernel)$/.test(path))
    .reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0);
}

function times(size: number, places: readonly (number | null)[]): number | null {
  return places.reduce<number | null>(
    (product, length) => (product === null || length === null ? null : product * length),
    size,
  );
}
