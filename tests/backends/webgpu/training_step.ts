import { adamMoments, allFinite, type Backend, choose, createKey, type NdArray } from '@tenon-ml/core';
import * as tf from '@tensorflow/tfjs-core';

/** The parts of a backend's own object that these tests reach into. */
export interface Inner {
  readonly device: GPUDevice;
  createTensorFromGPUData(
    data: { readonly buffer: GPUBuffer },
    shape: readonly number[],
    dtype: 'float32',
  ): tf.Tensor;
  readonly commands: {
    readonly pool: { inUse: number; peak: number };
    copy(...args: unknown[]): void;
  };
}

export const innerOf = ({ engineName }: Backend): Inner => tf.findBackend(engineName) as unknown as Inner;

export type State = {
  readonly params: tf.Tensor[];
  readonly first: tf.Tensor[];
  readonly second: tf.Tensor[];
};

/** How the parameters of a step are updated, and from what. */
export interface Setting {
  readonly rule: 'sgd' | 'momentum' | 'adam';
  /** Whether nothing changes where a gradient isn't finite. */
  readonly looks: boolean;
}

/** A step whose gradients come of products, if there is anything to multiply. */
export function stepOf({ rule, looks }: Setting) {
  return (state: State, batch: tf.Tensor2D, rate: tf.Tensor) => {
    const { params, first, second } = state;
    const weight = tf.mean(tf.square(batch));
    const gradients = params.map((p) => {
      if (p.size === 0) return tf.mul(p, weight);
      const spread = tf.matMul(batch, tf.reshape(p, [1, p.size]));
      return tf.reshape(tf.matMul(batch, spread, true), p.shape);
    });
    const sound = looks ? allFinite(gradients) : undefined;
    const fresh = (a: tf.Tensor, old: tf.Tensor): tf.Tensor => (sound ? choose(sound, a, old) : a);
    let next: State;
    if (rule === 'adam') {
      const made = adamMoments({
        ...{ updates: gradients, firstMoments: first, secondMoments: second },
        ...{ beta1: 0.9, beta2: 0.99, epsilon: 1e-3 },
      });
      next = {
        params: params.map((p, k) => tf.sub(p, tf.mul(made.updates[k], rate))),
        first: [...made.firstMoments],
        second: [...made.secondMoments],
      };
    } else {
      const moved = rule === 'sgd' ? gradients : first.map((m, k) => tf.add(tf.mul(m, 0.5), gradients[k]));
      next = {
        params: params.map((p, k) => tf.sub(p, tf.mul(moved[k], rate))),
        first: rule === 'sgd' ? first.map((m) => tf.mul(m, 0.5)) : moved,
        second: second.map((v, k) => tf.add(v, tf.square(gradients[k]))),
      };
    }
    const chosen = {
      params: next.params.map((p, k) => fresh(p, params[k])),
      first: next.first.map((m, k) => fresh(m, first[k])),
      second: next.second.map((v, k) => fresh(v, second[k])),
    };
    return { state: chosen, weight };
  };
}

export const key = createKey(3);
export const initial = (
  shapes: readonly (readonly number[])[],
): { readonly [K in keyof State]: NdArray[] } => ({
  params: shapes.map((shape, k) => key.foldIn(`p${k}`).normal([...shape])),
  first: shapes.map((shape, k) => key.foldIn(`m${k}`).normal([...shape])),
  second: shapes.map((shape, k) => key.foldIn(`v${k}`).uniform([...shape])),
});
export const batchOf = (step: number, size: number): NdArray => key.foldIn(`x${step}`).normal([size, 1]);

export const leavesOf = <T>({ params, first, second }: Record<keyof State, T[]>): T[] => [
  ...params,
  ...first,
  ...second,
];
