import {
  adamMomentsDefinition,
  attentionDefinition,
  attentionGradDefinition,
  geluElementsDefinition,
  geluGradDefinition,
  layerNormDefinition,
  layerNormGradDefinition,
  lstmCellDefinition,
  lstmCellGradDefinition,
  type OpAttrs,
  type OpInputs,
  sigmoidCrossEntropyDefinition,
} from '@tenon-ml/core';
import { type Tensor, tidy } from '@tensorflow/tfjs-core';
import { defineKernel, type Kernel } from './kernel.js';

/** An op or a primitive of core's. */
interface Definition<Inputs extends OpInputs, Attrs extends OpAttrs> {
  readonly name: string;
  readonly reference?: (inputs: Inputs, attrs: Attrs) => Tensor | readonly Tensor[];
}

/**
 * A kernel for what TensorFlow has no op of: what core says that it means, in ops that TensorFlow has. A replay runs
 * these and nothing else, so the definition costs its JavaScript once.
 */
function byDefinition<Inputs extends OpInputs, Attrs extends OpAttrs>({
  name,
  reference,
}: Definition<Inputs, Attrs>): Kernel {
  return defineKernel<Attrs>(name, ({ inputs, attrs }) =>
    tidy(() => (reference?.(inputs as unknown as Inputs, attrs) ?? []) as Tensor | Tensor[]),
  );
}

export const definedKernels: readonly Kernel[] = [
  byDefinition(adamMomentsDefinition),
  byDefinition(attentionDefinition),
  byDefinition(attentionGradDefinition),
  byDefinition(geluElementsDefinition),
  byDefinition(geluGradDefinition),
  byDefinition(layerNormDefinition),
  byDefinition(layerNormGradDefinition),
  byDefinition(lstmCellDefinition),
  byDefinition(lstmCellGradDefinition),
  byDefinition(sigmoidCrossEntropyDefinition),
];
