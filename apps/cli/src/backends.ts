import { cuda } from '@tenon-ml/backend-cuda';
import { wasm } from '@tenon-ml/backend-wasm';
import { webgpu } from '@tenon-ml/backend-webgpu';
import {
  type Backend,
  type Precision,
  type Selection,
  selectBackend,
  TenonError,
  unknownName,
} from '@tenon-ml/core';

/** What a command line says of what to compute on. */
export interface BackendFlags {
  readonly backend?: string;
  readonly device?: Device;
  /** What is to be computed in, where that is said. */
  readonly precision?: Precision;
}

/** What cuda computes on; by default what it was set up for. */
export type Device = 'gpu' | 'cpu';

const makers: { readonly [name: string]: (device?: Device) => Backend } = {
  wasm: () => wasm(),
  webgpu: () => webgpu(),
  cuda: (device) => cuda(device ? { device } : {}),
};

/**
 * The order of `--backend auto`: cuda's GPU comes first, since it is only there where somebody has set it up; wasm runs
 * everywhere and has been measured; WebGPU is for those who ask for it, until it has been measured on enough GPUs, or who
 * ask for what it alone has.
 */
const automatic = (precision: Precision = 'float32'): Backend[] =>
  precision === 'float32' ? [cuda({ device: 'gpu' }), wasm(), webgpu()] : [webgpu()];

export const backendNames: readonly string[] = ['auto', ...Object.keys(makers)];

/**
 * Starts a backend by its name, `standard` where the flags have none. Throws `UNKNOWN_NAME`, `USAGE` for a device of a
 * backend that has none to choose, or `BACKEND_UNAVAILABLE` with the reason.
 */
export async function startBackend(flags: BackendFlags, standard = 'auto'): Promise<Selection> {
  const { backend: name = standard, device, precision } = flags;
  if (name !== 'auto' && !Object.hasOwn(makers, name)) {
    throw unknownName('backend', name, backendNames, '--backend');
  }
  if (device !== undefined && name !== 'cuda') {
    throw new TenonError({
      code: 'USAGE',
      where: '--device',
      message: `the backend ${name} has no device to choose`,
      hint: 'It goes with --backend cuda.',
    });
  }
  return selectBackend(name === 'auto' ? automatic(precision) : [makers[name](device)]);
}

/** Why better backends were passed over, for a line about the one that is used; empty where none was. */
export function passedOver({ unavailable }: Selection): string {
  const reasons = unavailable.map(({ name, error }) => {
    // The first sentence; `tenon doctor` says the rest.
    const [reason] = error.message.replace(`${name}: `, '').split('. ');
    return `not on ${name}: ${reason.replace(/\.$/, '')}`;
  });
  return reasons.length > 0 ? ` (${reasons.join('; ')})` : '';
}
