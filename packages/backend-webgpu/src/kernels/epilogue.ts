import { Elu, Relu, Relu6, Sigmoid, type TensorInfo } from '@tensorflow/tfjs-core';
import type { GpuBackend, MapOperand } from '../gpu_backend.js';
import type { Node } from '../graph.js';
import { f32Literal } from '../prelude.js';
import { unary } from './elementwise.js';

/** What tfjs's fused kernels do to a product. */
export interface Epilogue {
  readonly bias: TensorInfo | undefined;
  readonly activation: string;
  readonly preluWeights: TensorInfo | undefined;
  readonly leakyAlpha: number;
}

const activations: { readonly [name: string]: string } = {
  relu: unary[Relu],
  relu6: unary[Relu6],
  elu: unary[Elu],
  sigmoid: unary[Sigmoid],
  prelu: 'select($1 * $0, $0, $0 >= 0f || isNan($0))',
};

/** The epilogue that a call of a fused kernel asks for; undefined for one that we can't do. */
export function epilogueOf(
  inputs: { readonly [name: string]: TensorInfo },
  attrs: { readonly activation?: string; readonly leakyreluAlpha?: number },
): Epilogue | undefined {
  const { bias, preluActivationWeights: preluWeights } = inputs;
  const activation = attrs.activation ?? 'linear';
  if ([bias, preluWeights].some((tensor) => tensor && tensor.dtype !== 'float32')) return undefined;
  if (activation === 'prelu' && !preluWeights) return undefined;
  if (activation !== 'linear' && activation !== 'leakyrelu' && !(activation in activations)) return undefined;
  return { bias, activation, preluWeights, leakyAlpha: attrs.leakyreluAlpha ?? 0.2 };
}

/** Adds the bias and applies the activation: elementwise work, which plans join to what it follows. */
export function finish(gpu: GpuBackend, product: TensorInfo, epilogue: Epilogue): TensorInfo {
  const { bias, activation, preluWeights, leakyAlpha } = epilogue;
  const operands: MapOperand[] = [{ tensor: product }];
  const nodes: Node[] = [];
  let value = -1;
  if (bias) {
    const args = [value, -operands.push({ tensor: bias })];
    value = nodes.push({ code: '$0 + $1', element: 'f32', args }) - 1;
  }
  if (activation !== 'linear') {
    const code =
      activation === 'leakyrelu'
        ? `select(${f32Literal(leakyAlpha)} * $0, $0, $0 >= 0f || isNan($0))`
        : activations[activation];
    const args = [value];
    if (activation === 'prelu') args.push(-operands.push({ tensor: preluWeights as TensorInfo }));
    value = nodes.push({ code, element: 'f32', args }) - 1;
  }
  if (nodes.length === 0) return product;
  const [result] = gpu.mapAll(product.shape, operands, nodes, [{ node: value, dtype: 'float32' }]);
  gpu.disposeData(product.dataId);
  return result;
}
