import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { expectTypeOf } from 'vitest';
import {
  type AnyLayer,
  type Backend,
  type Context,
  cast,
  compile,
  createKey,
  createRegistry,
  type Device,
  defineLayer,
  defineOp,
  type Feed,
  fromNested,
  full,
  type GradientTransform,
  type Host,
  isNdArray,
  type Json,
  type Layer,
  type Leaf,
  type LossValues,
  type Metric,
  type NdArray,
  type None,
  ndarray,
  type Params,
  read,
  rows,
  type Safetensors,
  type Specs,
  scalar,
  type TensorSpec,
  type Tree,
  treeMap,
  unflatten,
  upload,
  valueAndGrad,
  zeros,
} from '../src/index.js';

declare const backend: Backend;
declare const tensor: Tensor;

// Arrays know their dtype, and what holds it.
expectTypeOf(zeros([2])).toEqualTypeOf<NdArray<'float32'>>();
expectTypeOf(zeros([2], 'int64').data).toEqualTypeOf<BigInt64Array>();
expectTypeOf(full([2], 1, 'bool').data).toEqualTypeOf<Uint8Array>();
expectTypeOf(fromNested([[1]], 'int32')).toEqualTypeOf<NdArray<'int32'>>();
expectTypeOf(fromNested([1])).toEqualTypeOf<NdArray<'float32'> | NdArray<'bool'>>();
expectTypeOf(scalar(1)).toEqualTypeOf<NdArray<'float32'>>();
expectTypeOf(cast(zeros([1]), 'float64')).toEqualTypeOf<NdArray<'float64'>>();
expectTypeOf(rows(zeros([1], 'uint8'), 0, 1)).toEqualTypeOf<NdArray<'uint8'>>();
expectTypeOf(createKey(1).normal([2])).toEqualTypeOf<NdArray<'float32'>>();
expectTypeOf(zeros([1], 'int8')).toExtend<NdArray>();
// @ts-expect-error an array of another class than the dtype's
ndarray('float32', [1], new Float64Array(1));
// @ts-expect-error no such dtype
zeros([1], 'float16');
declare const something: unknown;
if (isNdArray(something)) expectTypeOf(something).toEqualTypeOf<NdArray>();

// The trees of a layer's parameters: of host values, of tensors, of specs, of either of the first two.
interface DenseParams extends Params<Leaf> {
  readonly kernel: Leaf;
  readonly bias: Leaf;
}
type Block = { readonly dense: { readonly kernel: Leaf; readonly bias: Leaf }; readonly scale: Leaf };
expectTypeOf<Host<Block>>().toEqualTypeOf<{
  readonly dense: { readonly kernel: NdArray; readonly bias: NdArray };
  readonly scale: NdArray;
}>();
expectTypeOf<Device<Block>['dense']['kernel']>().toEqualTypeOf<Tensor>();
expectTypeOf<Host<DenseParams>['kernel']>().toEqualTypeOf<NdArray>();
expectTypeOf<Device<None>>().toEqualTypeOf<Record<never, Tensor>>();
expectTypeOf<Host<Block>>().toExtend<Params<NdArray>>();
expectTypeOf<Device<Block>>().toExtend<Params<Tensor>>();
expectTypeOf<Device<Block>>().toExtend<Tree<Tensor>>();
expectTypeOf<Specs<Tensor>>().toEqualTypeOf<TensorSpec>();
expectTypeOf<Specs<readonly [Tensor, { a: Tensor }]>>().toEqualTypeOf<
  readonly [TensorSpec, { a: TensorSpec }]
>();
expectTypeOf<Feed<{ a: Tensor; b: readonly Tensor[] }>>().toEqualTypeOf<{
  a: Tensor | NdArray;
  b: readonly (Tensor | NdArray)[];
}>();
// Optional and readonly members stay what they are.
expectTypeOf<Feed<{ readonly a?: Tensor }>>().toEqualTypeOf<{ readonly a?: Tensor | NdArray }>();
// Open-ended trees stay open-ended.
expectTypeOf<Feed<Tree<Tensor>>>().toEqualTypeOf<Tree<Tensor | NdArray>>();
expectTypeOf<Specs<Tree<Tensor>>>().toEqualTypeOf<Tree<TensorSpec>>();

// compile: the function's own types, with host values allowed in the place of tensors.
const step = compile(
  (params: Device<Block>, x: Tensor, batch: { readonly labels: Tensor1D }) => ({
    params,
    loss: x,
    labels: batch.labels,
  }),
  { backend, donate: [0] },
);
expectTypeOf(step).parameter(0).toEqualTypeOf<Feed<Device<Block>>>();
expectTypeOf(step).parameter(1).toEqualTypeOf<Tensor | NdArray>();
expectTypeOf(step).returns.toEqualTypeOf<{ params: Device<Block>; loss: Tensor; labels: Tensor1D }>();
declare const hostBlock: Host<Block>;
step(hostBlock, zeros([2]), { labels: fromNested([1]) });
step({ dense: { kernel: tensor, bias: zeros([1]) }, scale: tensor }, tensor, { labels: zeros([1]) });
// @ts-expect-error a parameter is missing
step({ dense: { kernel: tensor, bias: tensor } }, tensor, { labels: tensor });
// @ts-expect-error numbers are passed as scalar(1)
step(hostBlock, 1, { labels: zeros([1]) });
// @ts-expect-error an argument is missing
step(hostBlock, zeros([2]));
// What it gives out, it takes in again.
let state: Parameters<typeof step>[0] = hostBlock;
state = step(state, tensor, { labels: zeros([1]) }).params;
expectTypeOf(step.explain().mode).toEqualTypeOf<'eager' | 'traced' | 'replayed'>();
// @ts-expect-error a compiled function gives out trees of tensors
compile((x: Tensor) => ({ x, n: 3 }), { backend });
// @ts-expect-error and is synchronous
compile(async (x: Tensor) => x, { backend });
// @ts-expect-error its arguments are trees of tensors as well
compile((x: Tensor, rate: number) => (rate > 1 ? x : x), { backend });
expectTypeOf(compile(() => tensor, { backend })).parameters.toEqualTypeOf<[]>();

// read and upload mirror each other.
expectTypeOf(read(step(hostBlock, tensor, { labels: tensor }))).resolves.toEqualTypeOf<{
  params: Host<Block>;
  loss: NdArray;
  labels: NdArray;
}>();
expectTypeOf(read(tensor)).resolves.toEqualTypeOf<NdArray>();
expectTypeOf(read([tensor, { a: tensor }] as const)).resolves.toEqualTypeOf<
  readonly [NdArray, { readonly a: NdArray }]
>();
expectTypeOf(upload(hostBlock, backend)).toEqualTypeOf<Device<Block>>();
expectTypeOf(upload({ a: zeros([1]) }, backend)).toEqualTypeOf<{ a: Tensor }>();
expectTypeOf(upload(zeros([1]), backend)).toEqualTypeOf<Tensor>();

// valueAndGrad: gradients are the parameters' tree; aux is what the function gives beside its value.
declare const deviceBlock: Device<Block>;
const plain = valueAndGrad((p: Device<Block>, x: Tensor, training: boolean) => (training ? p.scale : x));
expectTypeOf(plain).parameters.toEqualTypeOf<[params: Device<Block>, x: Tensor, training: boolean]>();
expectTypeOf(plain(deviceBlock, tensor, true).grads).toEqualTypeOf<Device<Block>>();
expectTypeOf(plain(deviceBlock, tensor, true).value).toEqualTypeOf<Tensor>();
expectTypeOf(plain(deviceBlock, tensor, true)).not.toHaveProperty('aux');
const withAux = valueAndGrad((p: Device<Block>) => [p.scale, { logits: p.scale }] as const, { aux: true });
expectTypeOf(withAux(deviceBlock).aux).toEqualTypeOf<{ readonly logits: Tensor }>();
expectTypeOf(withAux(deviceBlock).grads).toEqualTypeOf<Device<Block>>();
// @ts-expect-error aux without the option
valueAndGrad((p: Tensor) => [p, { p }] as const);
// @ts-expect-error the option without aux
valueAndGrad((p: Tensor) => p, { aux: true });
// Its result is an output of a compiled function.
expectTypeOf(compile((p: Tensor) => valueAndGrad((q: Tensor) => q)(p), { backend })).returns.toEqualTypeOf<{
  readonly value: Tensor;
  readonly grads: Tensor;
}>();
expectTypeOf<LossValues>().toExtend<Tree<Tensor>>();

// Layers: typed by their parameters, and any layer once they are in a container or a registry.
declare const dense: Layer<{ readonly kernel: Leaf; readonly bias: Leaf }, None>;
expectTypeOf(dense).toExtend<AnyLayer>();
expectTypeOf(
  dense.init(createKey(1), { shape: [null, 2], dtype: 'float32' }).params.kernel,
).toEqualTypeOf<NdArray>();
declare const context: Context;
expectTypeOf(
  dense.apply({ kernel: tensor, bias: tensor }, {}, tensor, context).output,
).toEqualTypeOf<Tensor>();
// @ts-expect-error a parameter is missing
dense.apply({ kernel: tensor }, {}, tensor, context);
createRegistry(defineLayer({ name: 'dense', version: 1, build: () => dense }));

// Ops: what the gradient sees is what the op takes.
defineOp<{ readonly a: Tensor; readonly b: Tensor }, { readonly n: number }>({
  name: 'Example',
  reference: ({ a }, { n }) => (n > 0 ? a : tensor),
  gradient(dy, { inputs, output }, attrs) {
    expectTypeOf(inputs).toEqualTypeOf<{ readonly a: Tensor; readonly b: Tensor }>();
    expectTypeOf(output).toEqualTypeOf<Tensor>();
    expectTypeOf(attrs.n).toEqualTypeOf<number>();
    return { a: dy };
  },
});
defineOp<{ readonly a: Tensor }, Record<string, never>>({
  name: 'Example',
  reference: ({ a }) => a,
  // @ts-expect-error a gradient of what is no input
  gradient: (dy) => ({ b: dy }),
});

// States of metrics and transforms are what a checkpoint can hold.
expectTypeOf<Metric>().toHaveProperty('compute').returns.toExtend<Json>();
// @ts-expect-error a Map is no JSON
type NotJson = Metric<Map<string, number>, number>;
expectTypeOf<GradientTransform['init']>().returns.toExtend<Params<NdArray>>();
expectTypeOf<NotJson>().toBeObject();

// Trees.
expectTypeOf(treeMap(hostBlock as Tree<NdArray>, (leaf: NdArray) => leaf.shape)).toEqualTypeOf<
  Tree<readonly number[]>
>();
expectTypeOf(unflatten([['a.b', 1]])).toEqualTypeOf<Params<number>>();
expectTypeOf<Safetensors['tensors']>().toEqualTypeOf<{ readonly [name: string]: NdArray }>();
