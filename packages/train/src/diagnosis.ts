import {
  compile,
  createContext,
  type Feed,
  type Params,
  read,
  TenonError,
  treeEntries,
  valueAndGrad,
  weightedMean,
} from '@tenon-ml/core';
import { all, isFinite as areFinite, type Tensor } from '@tensorflow/tfjs-core';
import type { BatchTensors, Carry, Control, StepParts } from './step.js';

/**
 * Runs a step that was halted once more, eagerly and with its parameters as they were, and names what was not finite
 * first: the data, a parameter, a layer's output, the loss, or a gradient.
 */
export async function diagnose(
  parts: StepParts,
  carry: Carry,
  batch: Feed<BatchTensors>,
  control: Feed<Control>,
  loss: number,
  where: string,
): Promise<TenonError> {
  const places = await notFinite(parts, carry, batch, control);
  const [first = 'the gradient of a regularisation loss'] = places;
  return new TenonError({
    code: 'NOT_FINITE',
    where,
    message: `the loss is ${loss}, and the first value that is not finite is ${first}. The parameters are as they were before this step.`,
    hint: /^the (input|target|weight)\b/.test(first)
      ? 'Look for NaN and infinities in the data.'
      : 'Lower the learning rate, or clip gradients with clipByGlobalNorm.',
  });
}

/** What of a step is not finite, in the order in which it is made. */
async function notFinite(
  parts: StepParts,
  carry: Carry,
  batch: Feed<BatchTensors>,
  control: Feed<Control>,
): Promise<string[]> {
  const places: string[] = [];
  const trace = compile(
    ({ params, state }: Carry, data: BatchTensors, { key }: Control) => {
      const taps: [string, Tensor][] = [];
      const context = createContext({
        training: true,
        key,
        onTap: (path, output) => void taps.push(...treeEntries<Tensor>(output, `the output of ${path}`)),
      });
      const { aux, grads } = valueAndGrad(
        (inner: Params<Tensor>) => {
          const { output } = parts.model.apply(inner, state, data.input, context);
          const value = weightedMean(parts.loss(output, data.target), data.weight);
          // Handed through, since what is made under a gradient is freed with it.
          return [value, { taps: taps.map(([, tensor]) => tensor), output, value }] as const;
        },
        { aux: true },
      )(params);
      const made: [string, Tensor][] = [
        ...treeEntries<Tensor>(data.input, 'the input'),
        ...treeEntries<Tensor>(data.target, 'the target'),
        ...(data.weight ? [named('the weight', data.weight)] : []),
        ...treeEntries<Tensor>(params).map(([path, tensor]) => named(`the parameter ${path}`, tensor)),
        ...taps.map(([place], i) => named(place, aux.taps[i])),
        ...treeEntries<Tensor>(aux.output, 'the output of the model'),
        named('the loss', aux.value),
        ...treeEntries<Tensor>(grads).map(([path, tensor]) => named(`the gradient of ${path}`, tensor)),
      ];
      const numbers = made.filter(([, { dtype }]) => dtype === 'float32');
      places.push(...numbers.map(([place]) => place));
      return numbers.map(([, tensor]) => all(areFinite(tensor)));
    },
    { backend: parts.backend, name: 'diagnosis' },
  );
  const flags = await read(trace(carry, batch, control));
  return places.filter((_, i) => flags[i].data[0] === 0);
}

function named(place: string, tensor: Tensor): [string, Tensor] {
  return [place, tensor];
}
