import {
  compile,
  createContext,
  type Feed,
  type Params,
  read,
  TenonError,
  treeEntries,
  treeLeaves,
  valueAndGrad,
  weightedMean,
} from '@tenon-ml/core';
import { all, isFinite as areFinite, where as choose, scalar, type Tensor } from '@tensorflow/tfjs-core';
import type { BatchTensors, Carry, Control, compileTrainStep, StepParts } from './step.js';

/**
 * Runs a step that was halted once more, eagerly and with its parameters as they were, and names what was not finite
 * first: an input, a layer's output, the loss, or a gradient.
 */
export async function diagnose(
  parts: StepParts,
  carry: Carry,
  batch: Feed<BatchTensors>,
  control: Feed<Control>,
  loss: number,
  where: string,
): Promise<TenonError> {
  const { outputs, gradients } = await traceFiniteness(parts, carry, batch, control);
  const output = outputs.find(([, finite]) => !finite)?.[0];
  const gradient = gradients.find(([, finite]) => !finite)?.[0];
  const cause = output ?? `the gradient of ${gradient ?? 'a regularisation loss'}`;
  return new TenonError({
    code: 'NOT_FINITE',
    where,
    message: `the loss is ${loss}, and the first value that is not finite is ${cause}. The parameters are as they were before this step.`,
    hint: output?.startsWith('the input')
      ? 'Look for NaN and infinities in the data.'
      : 'Lower the learning rate, or clip gradients with clipByGlobalNorm.',
  });
}

/** Which of a step's outputs are finite, in the order in which they are made: 1 or 0 by path. */
async function traceFiniteness(
  parts: StepParts,
  ...[carry, batch, control]: Parameters<ReturnType<typeof compileTrainStep>>
): Promise<{
  readonly outputs: readonly [string, boolean][];
  readonly gradients: readonly [string, boolean][];
}> {
  // Paths hold dots, which a tree's names may not: outputs are numbered, and the paths kept beside.
  const outputPaths: string[] = [];
  const gradientPaths: string[] = [];
  const trace = compile(
    (state: Carry, data: BatchTensors, inputs: Control) => {
      const flags: Record<string, Tensor> = {};
      const note = (paths: string[], kind: string, path: string, tensor: Tensor): void => {
        flags[`${kind}${paths.length}`] = tensor.dtype === 'float32' ? finiteFlag(tensor) : scalar(1);
        paths.push(path);
      };
      const kept: [string, Tensor][] = [];
      const context = createContext({
        training: true,
        key: inputs.key,
        onTap: (path, output) => kept.push(...treeEntries<Tensor>(output, path)),
      });
      const { aux, grads } = valueAndGrad(
        (params: Params<Tensor>) => {
          const { output } = parts.model.apply(params, state.state, data.input, context);
          const value = weightedMean(parts.loss(output, data.target), data.weight);
          return [
            value,
            { taps: kept.map(([, tensor]) => tensor), output: treeLeaves<Tensor>(output), value },
          ] as const;
        },
        { aux: true },
      )(state.params);
      for (const [path, tensor] of treeEntries<Tensor>(data.input, 'the input'))
        note(outputPaths, 'o', path, tensor);
      for (const [path, tensor] of treeEntries<Tensor>(state.params))
        note(outputPaths, 'o', `the parameter ${path}`, tensor);
      for (const [i, [path]] of kept.entries()) note(outputPaths, 'o', `the output of ${path}`, aux.taps[i]);
      for (const tensor of aux.output) note(outputPaths, 'o', 'the output of the model', tensor);
      note(outputPaths, 'o', 'the loss', aux.value);
      for (const [path, tensor] of treeEntries<Tensor>(grads)) note(gradientPaths, 'g', path, tensor);
      return flags;
    },
    { backend: parts.backend, name: 'diagnosis' },
  );
  const flags = await read(trace(carry, batch, control));
  const collect = (paths: string[], kind: string): [string, boolean][] =>
    paths.map((path, i) => [path, Number(flags[`${kind}${i}`].data[0]) === 1]);
  return { outputs: collect(outputPaths, 'o'), gradients: collect(gradientPaths, 'g') };
}

function finiteFlag(tensor: Tensor): Tensor {
  return choose(all(areFinite(tensor)), scalar(1), scalar(0));
}
