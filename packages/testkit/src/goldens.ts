import { readFileSync } from 'node:fs';
import {
  cast,
  type DType,
  isNdArray,
  type Json,
  type NdArray,
  type Params,
  readSafetensors,
  unflatten,
} from '@tenon-ml/core';

/** Options of a layer, loss or optimizer as the goldens have them: JSON by name. */
export type GoldenConfig = { readonly [option: string]: Json };

/** A case of layers.safetensors: one layer, or a network. */
export interface LayerGolden {
  /** 'dense', 'conv2d', …; 'sequential' and 'residual' for the networks. */
  readonly layer: string;
  readonly config: GoldenConfig;
  readonly training: boolean;
  /** The loss that a network's gradients are those of. Without it they are those of sum(output · output_grad). */
  readonly loss?: string;
  readonly note?: string;
}

/** A case of losses.safetensors. */
export interface LossGolden {
  readonly loss: 'softmaxCrossEntropy' | 'sigmoidCrossEntropy' | 'meanSquaredError';
  readonly config: { readonly labelSmoothing?: number; readonly ignoreLabel?: number };
  readonly note?: string;
}

/** A case of optimizers.safetensors: a trajectory. */
export interface OptimizerGolden {
  readonly optimizer: 'sgd' | 'adagrad' | 'adam' | 'adamw';
  readonly config: GoldenConfig;
  readonly steps: number;
  /** Which formula clips: torch's, with 10⁻⁶ added to the norm, or the plain one. */
  readonly clipFormula?: 'torch' | 'formula';
  /** Gradients are those of Σ curvature · (params − center)² / 2, instead of being given. */
  readonly objective?: 'quadratic';
  readonly note?: string;
}

/** A case of metrics.safetensors: a data set, and the batches to stream it in. */
export interface MetricGolden {
  /** Absent for a mean of numbers. */
  readonly classes?: number;
  readonly batchSizes: readonly number[];
  readonly note?: string;
}

/** A case of explanations.safetensors: a network for images, or one attention. */
export interface ExplanationGolden {
  readonly classes?: number;
  /** Of its two convolutions. */
  readonly filters?: readonly [number, number];
  /** Whether there is a batchNorm behind the first. */
  readonly normalized?: boolean;
  readonly heads?: number;
  readonly causal?: boolean;
}

/** A case of scaling.safetensors: a loss scale over random steps. */
export interface ScalingGolden {
  readonly initial: number;
  readonly growthInterval: number;
  readonly steps: number;
  readonly note?: string;
}

/** What a case says of itself, by family. */
export interface GoldenFamilies {
  layers: LayerGolden;
  losses: LossGolden;
  optimizers: OptimizerGolden;
  metrics: MetricGolden;
  explanations: ExplanationGolden;
  scaling: ScalingGolden;
}

/** One case: its description, and its tensors by the name within the case. */
export interface GoldenCase<D> {
  readonly name: string;
  readonly about: D;
  /** The tensor called `name`, such as `output` or `params_grad/kernel`. Throws where the case has none. */
  get(name: string): NdArray;
  /** As `get`; throws where it isn't float64. */
  floats(name: string): NdArray<'float64'>;
  /** As `get`, for labels and predictions; throws where it isn't int32. */
  integers(name: string): NdArray<'int32'>;
  has(name: string): boolean;
  /** The names within the case, sorted. */
  readonly names: readonly string[];
  /** The tensors under `prefix/`, by path: `{ 'conv2d_1.kernel': … }`. Empty where there are none. */
  paths(prefix: string): { readonly [path: string]: NdArray<'float64'> };
  /** The same as a tree: `{ conv2d_1: { kernel: … } }`. */
  tree(prefix: string): Params<NdArray<'float64'>>;
}

/**
 * The cases of `goldens/data/FAMILY.safetensors`, in the order of their generator. Floats are float64, integers int32.
 * `goldens/README.md` says which tensors a case has.
 */
export function loadGoldens<F extends keyof GoldenFamilies>(
  family: F,
): readonly GoldenCase<GoldenFamilies[F]>[] {
  const url = new URL(`../goldens/data/${family}.safetensors`, import.meta.url);
  // A plain Uint8Array: the slice of a Buffer is a view of its pool.
  const { tensors, metadata } = readSafetensors(new Uint8Array(readFileSync(url)), `${family}.safetensors`);
  const described = JSON.parse(metadata.cases ?? '{}') as Record<string, GoldenFamilies[F]>;
  const byCase = new Map<string, Map<string, NdArray>>();
  for (const [key, value] of Object.entries(tensors)) {
    const slash = key.indexOf('/');
    const name = key.slice(0, slash);
    let own = byCase.get(name);
    if (!own) byCase.set(name, (own = new Map()));
    own.set(key.slice(slash + 1), value);
  }
  return Object.entries(described).map(([name, about]) =>
    goldenCase(`${family}/${name}`, name, about, byCase.get(name) ?? new Map()),
  );
}

/** One case of a family by its name; throws where there is none. */
export function loadGolden<F extends keyof GoldenFamilies>(
  family: F,
  name: string,
): GoldenCase<GoldenFamilies[F]> {
  const cases = loadGoldens(family);
  const found = cases.find((one) => one.name === name);
  if (found) return found;
  throw new Error(`no golden ${family}/${name}; there are ${cases.map((one) => one.name).join(', ')}`);
}

/**
 * The same values, or tree of values, in float32, as a device takes them; integers stay. The goldens' inputs are float32
 * numbers, so that this loses nothing of them; references are compared as they are, in float64.
 */
export function toFloat32(value: NdArray): NdArray;
export function toFloat32(value: Params<NdArray>): Params<NdArray>;
export function toFloat32(value: NdArray | Params<NdArray>): NdArray | Params<NdArray> {
  if (isNdArray(value)) return value.dtype === 'float64' ? cast(value, 'float32') : value;
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [
      name,
      isNdArray(child) ? toFloat32(child) : toFloat32(child as Params<NdArray>),
    ]),
  );
}

function goldenCase<D>(
  where: string,
  name: string,
  about: D,
  tensors: ReadonlyMap<string, NdArray>,
): GoldenCase<D> {
  const get = (key: string): NdArray => {
    const value = tensors.get(key);
    if (value) return value;
    throw new Error(`${where} has no ${key}; it has ${[...tensors.keys()].join(', ')}`);
  };
  const typed = <T extends DType>(key: string, dtype: T): NdArray<T> => {
    const value = get(key);
    if (value.dtype === dtype) return value as unknown as NdArray<T>;
    throw new Error(`${where}/${key} is ${value.dtype}, not ${dtype}`);
  };
  const paths = (prefix: string): Record<string, NdArray<'float64'>> => {
    const found: Record<string, NdArray<'float64'>> = {};
    for (const key of tensors.keys()) {
      if (key.startsWith(`${prefix}/`)) {
        found[key.slice(prefix.length + 1)] = typed(key, 'float64');
      }
    }
    return found;
  };
  return {
    name,
    about,
    names: [...tensors.keys()].sort(),
    has: (key) => tensors.has(key),
    get,
    floats: (key) => typed(key, 'float64'),
    integers: (key) => typed(key, 'int32'),
    paths,
    tree: (prefix) => unflatten(Object.entries(paths(prefix))),
  };
}
