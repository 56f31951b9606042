import {
  type AnyLayer,
  type Backend,
  createKey,
  type ErrorCode,
  isTenonError,
  type ModelArtifact,
  type NdArray,
  type Params,
  type TensorSpec,
  type Transform,
} from '@tenon-ml/core';
import { batchNorm, conv2d, dense, flatten, maxPool2d, relu, sequential } from '@tenon-ml/layers';
import { cpu, type ExplanationGolden, type GoldenCase, toFloat32 } from '@tenon-ml/testkit';
import { expect } from 'vitest';

/** tfjs's plain CPU backend, started. */
export async function startedCpu(): Promise<Backend> {
  const backend = cpu();
  await backend.init();
  return backend;
}

/** A layer as a model of class logits, with the weights that `init` draws where none are given. */
export function artifactOf(
  layer: object,
  input: TensorSpec,
  given: {
    readonly params?: Params<NdArray>;
    readonly state?: Params<NdArray>;
    readonly preprocessing?: readonly Transform[];
    readonly outputActivation?: 'softmax' | null;
  } = {},
): ModelArtifact {
  const model = layer as AnyLayer;
  const made = model.init(createKey(1), input);
  return {
    layer: model,
    params: made.params,
    state: made.state,
    input,
    output: made.output,
    preprocessing: [],
    outputActivation: 'softmax',
    card: {},
    ...given,
  };
}

/** The network of a golden of explanations, with its weights. */
export function goldenNetwork(golden: GoldenCase<ExplanationGolden>): ModelArtifact {
  const { filters = [1, 1], classes = 1, normalized } = golden.about;
  const layer = sequential([
    conv2d(filters[0], 3, { padding: 'same' }),
    ...(normalized ? [batchNorm()] : []),
    relu(),
    maxPool2d(2),
    conv2d(filters[1], 3),
    relu(),
    flatten(),
    dense(classes),
  ]);
  const { shape } = golden.get('input');
  return artifactOf(
    layer,
    { dtype: 'float32', shape: [null, ...shape.slice(1)] },
    { params: toFloat32(golden.tree('params')), state: toFloat32(golden.tree('state')) },
  );
}

/** Throws unless `f` rejects with a TenonError of this code, whose message has all of `parts`. */
export async function expectError(
  f: () => unknown,
  code: ErrorCode,
  ...parts: readonly string[]
): Promise<void> {
  let result: unknown;
  try {
    result = await f();
  } catch (error) {
    if (!isTenonError(error)) throw error;
    expect(error.code, error.message).toBe(code);
    for (const part of parts) expect(error.message).toContain(part);
    return;
  }
  throw new Error(`expected a TenonError, got ${JSON.stringify(result)}`);
}
