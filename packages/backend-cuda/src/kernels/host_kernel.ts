import {
  getKernel,
  type KernelBackend,
  type KernelConfig,
  type KernelFunc,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { TfBackend, Values } from '../tf_backend.js';
import type { Kernel } from './kernel.js';

type Inputs = Parameters<KernelFunc>[0]['inputs'];
/** Some kernels take lists of tensors among their inputs. */
type Given = { readonly [name: string]: TensorInfo | readonly TensorInfo[] };

/**
 * A kernel in JavaScript, tfjs-backend-cpu's, for what TensorFlow has no op for: its inputs are read back from the device,
 * and its outputs uploaded. A step that calls one can't be recorded.
 */
export function hostKernel(kernelName: string, kernelFunc: KernelFunc): KernelFunc {
  return (call) => {
    const backend = call.backend as unknown as TfBackend;
    const host = backend.host();
    const held: TensorInfo[] = [];
    const bring = (tensor: TensorInfo): TensorInfo => {
      const { dataId, shape, dtype } = tensor;
      // What is there alone is a constant of the step's: it needn't be read.
      if (backend.dataOf(tensor).values === null) {
        backend.runtime.trace?.unrecordable(`${kernelName} computes on the host`);
      }
      if (dtype === 'complex64') throw new Error(`The kernel ${kernelName} takes no complex numbers.`);
      const brought = { dataId: host.write(backend.readSync(dataId), shape, dtype), shape, dtype };
      held.push(brought);
      return brought;
    };
    try {
      const entries = Object.entries(call.inputs as unknown as Given).map(
        ([name, given]) =>
          [name, Array.isArray(given) ? given.map(bring) : bring(given as TensorInfo)] as const,
      );
      const inputs = Object.fromEntries(entries) as Inputs;
      const result = kernelFunc({ inputs, attrs: call.attrs, backend: host as KernelBackend });
      const made = [result].flat();
      held.push(...made);
      const outputs = made.map(({ dataId, shape, dtype }): TensorInfo => {
        const { values } = host.data.get(dataId);
        return { dataId: backend.write(ownArray(values as Values, dtype), shape, dtype), shape, dtype };
      });
      return Array.isArray(result) ? outputs : outputs[0];
    } finally {
      for (const { dataId } of held) host.disposeData(dataId, true);
    }
  };
}

/** tfjs-backend-cpu's kernel of a name. */
export function cpuKernel(kernelName: string): KernelFunc {
  return (getKernel(kernelName, 'cpu') as KernelConfig).kernelFunc;
}

/** A kernel that leaves some of its calls to tfjs-backend-cpu's of the same name. */
export function onHostWhere(
  { kernelName, bind }: Kernel,
  where: (call: Parameters<KernelFunc>[0]) => boolean,
): Kernel {
  return {
    kernelName,
    bind(theirs) {
      const kernelFunc = bind(theirs);
      return (call) => (where(call) ? hostKernel(kernelName, cpuKernel(kernelName)) : kernelFunc)(call);
    },
  };
}

/** Values in an array of the dtype's class, which some kernels forget about; TensorFlow keeps it. */
function ownArray(values: Values | number[], dtype: TensorInfo['dtype']): Values {
  if (dtype === 'string') return values as Uint8Array[];
  return util.getTypedArrayFromDType(dtype as 'float32', values.length).map((_, i) => values[i] as number);
}
