import type { LayerSpec } from '@tenon-ml/core';
import {
  avgPool2d,
  batchNorm,
  conv2d,
  dense,
  dropout,
  embedding,
  feedForward,
  flatten,
  gelu,
  globalAvgPool2d,
  layerNorm,
  lstm,
  maxPool2d,
  multiHeadAttention,
  positionEmbedding,
  relu,
  resnetBlock,
  sigmoid,
  softmax,
  tanh,
  transformerBlock,
} from '@tenon-ml/layers';

export type LayerGroup =
  | 'core'
  | 'convolution'
  | 'pooling'
  | 'normalization'
  | 'activation'
  | 'regularization'
  | 'recurrent'
  | 'attention'
  | 'shape';

/** A field of a layer, as a form shows it. */
export interface LayerOption {
  /** Its name in the spec. */
  readonly name: string;
  /** 'pair': [height, width], integers. */
  readonly kind: 'integer' | 'number' | 'boolean' | 'choice' | 'pair';
  /** The least value that is allowed; of numbers, see `exclusive`. */
  readonly min?: number;
  readonly max?: number;
  /** The bounds that are named here don't belong to the range. */
  readonly exclusive?: 'min' | 'max';
  readonly choices?: readonly string[];
  /** Whether the spec may leave it out, for a default. */
  readonly optional?: true;
}

/** A layer that can stand in a list, for a menu. */
export interface CatalogEntry {
  readonly layer: string;
  readonly group: LayerGroup;
  /** A spec that builds, to begin with. */
  readonly defaults: LayerSpec;
  readonly options: readonly LayerOption[];
}

const optional = { optional: true } as const;
const count = (name: string): LayerOption => ({ name, kind: 'integer', min: 1 });
const pair = (name: string): LayerOption => ({ name, kind: 'pair', min: 1 });
const flag = (name: string): LayerOption => ({ name, kind: 'boolean', ...optional });
const padding: LayerOption = { name: 'padding', kind: 'choice', choices: ['valid', 'same'], ...optional };
const epsilon: LayerOption = { name: 'epsilon', kind: 'number', min: 0, exclusive: 'min', ...optional };
const strides: LayerOption = { ...pair('strides'), ...optional };
const rate = (name: string): LayerOption => ({ name, kind: 'number', min: 0, max: 1, exclusive: 'max' });

function entry(
  group: LayerGroup,
  { spec }: { readonly spec: LayerSpec },
  options: readonly LayerOption[] = [],
) {
  return Object.freeze<CatalogEntry>({ layer: spec.layer, group, defaults: spec, options });
}

/**
 * The layers that can stand in a list, by group, with the options that a form can show. Those that it leaves to documents
 * written by hand are in `uneditedOptions`; layers that hold others ('sequential', 'residual') aren't here.
 */
export const layerCatalog: readonly CatalogEntry[] = /* @__PURE__ */ (() =>
  Object.freeze([
    entry('core', dense(64), [count('units'), flag('bias')]),
    entry('core', embedding(64, 64), [count('vocabulary'), count('width')]),
    entry('core', positionEmbedding(64), [count('length')]),
    entry('convolution', conv2d(32, 3, { padding: 'same' }), [
      count('filters'),
      pair('kernelSize'),
      strides,
      padding,
      { ...pair('dilation'), ...optional },
      flag('bias'),
    ]),
    entry('convolution', resnetBlock(32), [count('filters'), strides]),
    entry('pooling', maxPool2d(2), [pair('poolSize'), strides, padding]),
    entry('pooling', avgPool2d(2), [pair('poolSize'), strides, padding]),
    entry('pooling', globalAvgPool2d()),
    entry('normalization', batchNorm(), [
      { name: 'momentum', kind: 'number', min: 0, max: 1, ...optional },
      epsilon,
      flag('scale'),
      flag('bias'),
    ]),
    entry('normalization', layerNorm(), [epsilon]),
    entry('activation', relu()),
    entry('activation', gelu(), [flag('approximate')]),
    entry('activation', sigmoid()),
    entry('activation', tanh()),
    entry('activation', softmax()),
    entry('regularization', dropout(0.25), [rate('rate')]),
    entry('recurrent', lstm(64), [
      count('units'),
      flag('returnSequences'),
      { name: 'forgetBias', kind: 'number', ...optional },
    ]),
    entry('attention', multiHeadAttention({ heads: 4 }), [count('heads'), flag('causal')]),
    entry('attention', feedForward(), [{ ...count('ratio'), ...optional }]),
    entry('attention', transformerBlock({ heads: 4, causal: true }), [
      count('heads'),
      flag('causal'),
      { ...count('mlpRatio'), ...optional },
      { ...rate('dropout'), ...optional },
    ]),
    entry('shape', flatten()),
  ]))();

/** Options that the catalog leaves out: how parameters begin, which is more than a field. */
export const uneditedOptions: readonly string[] = [
  'kernelInitializer',
  'biasInitializer',
  'outputInitializer',
  'recurrentInitializer',
  'initializer',
];
