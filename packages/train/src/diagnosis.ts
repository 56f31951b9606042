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

/** What the host saw of the step that was halted. */
export interface HaltedStep {
  readonly loss: number;
  readonly lossScale?: number;
}

/**
 * Runs a step that was halted once more, eagerly, in float32, and with its parameters as they were, and names what was not
 * finite first: the data, a parameter, a layer's output, the loss, or a gradient. Where that finds nothing, it was the scale
 * of the loss, or float16, that a value was too large for.
 */
export async function diagnose(
  parts: StepParts,
  carry: Carry,
  batch: Feed<BatchTensors>,
  control: Feed<Control>,
  halted: HaltedStep,
  where: string,
): Promise<TenonError> {
  const [first] = await notFinite(parts, carry, batch, control);
  const { what, hint } = first === undefined ? describeUnseen(parts, halted) : describeFirst(first);
  return new TenonError({
    code: 'NOT_FINITE',
    where,
    message: `the loss is ${halted.loss}, and ${what}. The parameters are as they were before this step.`,
    hint,
  });
}

interface Finding {
  readonly what: string;
  readonly hint: string;
}

function describeFirst(first: string): Finding {
  return {
    what: `the first value that is not finite is ${first}`,
    hint: /^the (input|target|weight)\b/.test(first)
      ? 'Look for NaN and infinities in the data.'
      : 'Lower the learning rate, or clip gradients with clipByGlobalNorm.',
  };
}

/** What was not finite in a step that is finite when it runs in float32, on the loss as it is. */
function describeUnseen({ precision }: StepParts, { loss, lossScale = 1 }: HaltedStep): Finding {
  const scaled = Number.isFinite(loss) && lossScale > 1;
  if (precision === 'mixed-float16') {
    const part = Number.isFinite(loss)
      ? `its gradients${scaled ? `, times the loss scale of ${lossScale},` : ''} are not finite, though`
      : 'yet';
    return {
      what: `${part} in float32 all values are finite: one beyond float16's largest, 65504, is the likely reason`,
      hint: scaled
        ? "Lower lossScaling, or use 'dynamic', which skips such steps."
        : 'Scale inputs and targets down, normalize between layers, lower the learning rate, or train in float32.',
    };
  }
  if (!scaled) return describeFirst('the gradient of a regularisation loss');
  return {
    what: `its gradients, times the loss scale of ${lossScale}, are not finite`,
    hint: "Lower lossScaling, or use 'dynamic', which skips such steps.",
  };
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
