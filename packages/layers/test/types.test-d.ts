import type {
  AnyLayer,
  Device,
  Host,
  Layer,
  LayerDefinition,
  Leaf,
  NdArray,
  None,
  Params,
  StatelessLayer,
  TensorSpec,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { expectTypeOf } from 'vitest';
import {
  type BatchNormState,
  batchNorm,
  type ChildLayer,
  conv2d,
  dense,
  denseDefinition,
  dropout,
  type EmbeddingParams,
  embedding,
  flatten,
  gelu,
  type LstmParams,
  lstm,
  maxPool2d,
  multiHeadAttention,
  relu,
  residual,
  resnetBlock,
  sequential,
  transformerBlock,
} from '../src/index.js';

type Kernel = { readonly kernel: Leaf };
type KernelAndBias = { readonly kernel: Leaf; readonly bias: Leaf };

type ParamsOf<L> = L extends Layer<infer P, infer _S> ? P : never;
type StateOf<L> = L extends Layer<infer _P, infer S> ? S : never;

// Single layers know their parameters, and whether there is a bias.
expectTypeOf(dense(3)).toEqualTypeOf<Layer<KernelAndBias, None>>();
expectTypeOf(dense(3, { kernelInitializer: 'heNormal' })).toEqualTypeOf<Layer<KernelAndBias, None>>();
expectTypeOf(dense(3, { bias: true })).toEqualTypeOf<Layer<KernelAndBias, None>>();
expectTypeOf(dense(3, { bias: false })).toEqualTypeOf<Layer<Kernel, None>>();
declare const either: boolean;
expectTypeOf<ParamsOf<ReturnType<typeof maybeBiased>>>().toEqualTypeOf<Kernel | KernelAndBias>();
const maybeBiased = () => dense(3, { bias: either });
expectTypeOf(conv2d(3, [3, 2], { bias: false, padding: 'same' })).toEqualTypeOf<Layer<Kernel, None>>();
expectTypeOf<StateOf<ReturnType<typeof batchNorm>>>().toEqualTypeOf<BatchNormState>();
expectTypeOf(relu()).toEqualTypeOf<StatelessLayer>();

const withoutScale = batchNorm({ scale: false });
expectTypeOf<keyof ParamsOf<typeof withoutScale>>().toEqualTypeOf<'bias'>();
const plain = batchNorm({ scale: false, bias: false });
expectTypeOf<keyof ParamsOf<typeof plain>>().toEqualTypeOf<never>();

expectTypeOf(embedding(10, 4)).toEqualTypeOf<Layer<EmbeddingParams, None>>();
expectTypeOf(lstm(3)).toEqualTypeOf<Layer<LstmParams, None>>();
expectTypeOf<
  ParamsOf<ReturnType<typeof transformerBlock>>['attention']['qkv']
>().toEqualTypeOf<KernelAndBias>();
expectTypeOf<StateOf<ReturnType<typeof resnetBlock>>['norm2']>().toEqualTypeOf<BatchNormState>();
expectTypeOf(gelu()).toEqualTypeOf<StatelessLayer>();
expectTypeOf(transformerBlock({ heads: 2 })).toExtend<ChildLayer>();
expectTypeOf(resnetBlock(2)).toExtend<ChildLayer>();
// @ts-expect-error attention has a number of heads
multiHeadAttention({});

// What init and apply take and give follows from them.
type DenseInit = ReturnType<Layer<KernelAndBias, None>['init']>;
expectTypeOf<DenseInit['params']['kernel']>().toEqualTypeOf<NdArray>();
expectTypeOf<DenseInit['output']>().toEqualTypeOf<TensorSpec>();

// Containers given as objects have typed paths; layers without parameters have none.
const model = sequential({
  stem: sequential({ conv: conv2d(8, 3), norm: batchNorm(), activation: relu() }),
  block: residual(conv2d(8, 3, { padding: 'same' }), { shortcut: conv2d(8, 1, { bias: false }) }),
  skip: residual(relu()),
  pool: maxPool2d(2),
  flat: flatten(),
  noise: dropout(0.5),
  head: dense(10),
});
type ModelParams = ParamsOf<typeof model>;
expectTypeOf<keyof ModelParams>().toEqualTypeOf<'stem' | 'block' | 'head'>();
expectTypeOf<ModelParams['stem']['conv']>().toEqualTypeOf<KernelAndBias>();
expectTypeOf<keyof ModelParams['stem']>().toEqualTypeOf<'conv' | 'norm'>();
expectTypeOf<ModelParams['block']>().toEqualTypeOf<{
  readonly body: KernelAndBias;
  readonly shortcut: Kernel;
}>();
expectTypeOf<StateOf<typeof model>>().toEqualTypeOf<{ readonly stem: { readonly norm: BatchNormState } }>();
expectTypeOf<Host<ModelParams>['head']['bias']>().toEqualTypeOf<NdArray>();
expectTypeOf<Device<ModelParams>['stem']['norm']['scale']>().toEqualTypeOf<Tensor>();
// @ts-expect-error there is no such layer
type _Missing = ModelParams['tail'];

// A list's names aren't known to the types, but that there are none is.
expectTypeOf(sequential([dense(3), relu()])).toEqualTypeOf<Layer<Params<Leaf>, None>>();
expectTypeOf(sequential([dense(3), batchNorm()])).toEqualTypeOf<Layer<Params<Leaf>, Params<Leaf>>>();
expectTypeOf(sequential([relu(), maxPool2d(2)])).toEqualTypeOf<StatelessLayer>();
declare const many: ChildLayer[];
expectTypeOf(sequential(many)).toEqualTypeOf<Layer<Params<Leaf>, Params<Leaf>>>();

// Any of them is a layer to whoever holds layers.
expectTypeOf(dense(3)).toExtend<ChildLayer>();
expectTypeOf(model).toExtend<ChildLayer>();
expectTypeOf(model).toExtend<AnyLayer>();
expectTypeOf(denseDefinition).toExtend<LayerDefinition<ChildLayer>>();

// Options and orders are checked.
sequential({ a: relu(), b: dense(2) }, { order: ['a', 'b', 'a'] });
// @ts-expect-error 'c' is no layer of this container
sequential({ a: relu() }, { order: ['a', 'c'] });
// @ts-expect-error padding is 'valid' or 'same'
conv2d(1, 3, { padding: 'full' });
// @ts-expect-error an initializer is a name or an object
dense(1, { kernelInitializer: 'heNormale' });
// @ts-expect-error a constant has a value
dense(1, { kernelInitializer: { initializer: 'constant' } });
// @ts-expect-error a layer is called
sequential([relu]);
