import { Add, type KernelFunc, type NamedAttrMap, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { EngineBackend } from '../engine_backend.js';
import { cpuKernel, defineKernel, hostKernel, type Kernel, type KernelCall } from './kernel.js';

interface FusedAttrs {
  activation?: string;
  leakyreluAlpha?: number;
}

/**
 * A kernel of a product, a bias and an activation. `run` gets the calls that its epilogue can do: a bias of one number
 * for each column, relu or no activation. Of others it gets the product alone, and kernels of tfjs-backend-cpu do the
 * rest. (tfjs-backend-cpu's own fused kernels would call its own products.) `columnsOf` returns undefined for a call
 * that is left to tfjs-backend-cpu as a whole.
 */
export function defineFusedKernel<A extends FusedAttrs>(
  kernelName: string,
  columnsOf: (inputs: KernelCall<A>['inputs'], attrs: A) => number | undefined,
  run: (call: KernelCall<A>, bias: TensorInfo | undefined, relu: boolean) => TensorInfo | undefined,
): Kernel {
  const fused = defineKernel<A>(kernelName, (call) =>
    run(call, call.inputs.bias, call.attrs.activation === 'relu'),
  );
  const kernelFunc: KernelFunc = (call) => {
    const inputs = call.inputs as KernelCall<A>['inputs'];
    const attrs = call.attrs as unknown as A;
    const backend = call.backend as EngineBackend;
    const { bias } = inputs;
    const activation = attrs.activation ?? 'linear';
    const columns = columnsOf(inputs, attrs);
    if (columns === undefined) return hostKernel(kernelName, cpuKernel(kernelName)).kernelFunc(call);
    const biasFits = !bias || isRow(bias, columns);
    if (biasFits && (activation === 'linear' || activation === 'relu')) return fused.kernelFunc(call);

    let current = fused.kernelFunc({
      inputs: { ...inputs, bias: biasFits ? bias : undefined } as typeof call.inputs,
      attrs: { ...attrs, activation: 'linear' } as unknown as NamedAttrMap,
      backend,
    }) as TensorInfo;
    const replace = (name: string, operands: { [name: string]: TensorInfo }, options: NamedAttrMap = {}) => {
      const { kernelFunc: next } = hostKernel(name, cpuKernel(name));
      const result = next({ inputs: operands, attrs: options, backend }) as TensorInfo;
      backend.disposeIntermediateTensorInfo(current);
      current = result;
    };
    if (bias && !biasFits) replace(Add, { a: current, b: bias });
    if (activation === 'prelu') replace('Prelu', { x: current, alpha: inputs.preluActivationWeights });
    else if (activation === 'leakyrelu')
      replace('LeakyRelu', { x: current }, { alpha: attrs.leakyreluAlpha ?? 0.2 });
    else if (activation !== 'linear') replace(unaryKernels[activation], { x: current });
    return current;
  };
  return { kernelName, kernelFunc };
}

const unaryKernels: { readonly [activation: string]: string } = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
};

/** Whether it is one number for each of so many columns. */
function isRow({ dtype, shape }: TensorInfo, columns: number): boolean {
  return dtype === 'float32' && shape[shape.length - 1] === columns && util.sizeFromShape(shape) === columns;
}
