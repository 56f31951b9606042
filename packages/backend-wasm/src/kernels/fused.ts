import { FusedConv2D, type FusedConv2DAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import { conv2D } from './convolution.js';
import { callKernel, cpuKernel, defineHostKernel, type HostCall } from './host.js';

/** A convolution, its bias and its activation, NHWC. */
export const fusedConv2D = defineHostKernel<FusedConv2DAttrs>(FusedConv2D, (call) => {
  if (call.attrs.dataFormat !== 'NHWC') return undefined;
  const { x, filter } = call.inputs;
  return finish(call, callKernel(conv2D, call.backend, { x, filter }, call.attrs));
});

const activations: { readonly [name: string]: string } = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  leakyrelu: 'LeakyRelu',
  prelu: 'Prelu',
};

function finish({ inputs, attrs, backend }: HostCall<FusedConv2DAttrs>, product: TensorInfo): TensorInfo {
  let current = product;
  const replace = (next: TensorInfo): void => {
    backend.disposeIntermediateTensorInfo(current);
    current = next;
  };
  if (inputs.bias)
    replace(callKernel({ kernelFunc: cpuKernel('Add') }, backend, { a: current, b: inputs.bias }));
  const { activation } = attrs;
  if (!activation || activation === 'linear') return current;
  const kernelFunc = cpuKernel(activations[activation]);
  const operands: { [name: string]: TensorInfo } =
    activation === 'prelu' ? { x: current, alpha: inputs.preluActivationWeights } : { x: current };
  const options = activation === 'leakyrelu' ? { alpha: attrs.leakyreluAlpha } : {};
  replace(callKernel({ kernelFunc }, backend, operands, options));
  return current;
}
