import {
  defineLayer,
  type Layer,
  type Leaf,
  lstmCell,
  type None,
  ndarray,
  type TensorSpec,
} from '@tenon-ml/core';
import {
  add,
  matMul,
  reshape,
  split,
  stack,
  type Tensor,
  type Tensor2D,
  transpose,
  unstack,
  zeros,
} from '@tensorflow/tfjs-core';
import { affine } from './dense.js';
import { frozenLayer } from './frozen.js';
import { type Initializer, initialize, readInitializer } from './initializers.js';
import { checkSequence, type InputLike, leaves, shapeError } from './inputs.js';
import {
  fromCall,
  fromSpec,
  type OptionSource,
  type RawOptions,
  readOptions,
  specOptions,
} from './options.js';

/** Parameters of `lstm`. */
export type LstmParams = { readonly kernel: Leaf; readonly recurrentKernel: Leaf; readonly bias: Leaf };

export interface LstmOptions {
  /** Whether the output of every step is given, rather than that of the last (default false). */
  readonly returnSequences?: boolean;
  /** Of the kernel (default 'glorotUniform'). */
  readonly kernelInitializer?: Initializer;
  /** Of the recurrent kernel (default 'glorotUniform'). */
  readonly recurrentInitializer?: Initializer;
  /** What the bias of the forget gate begins as (default 1); the others are zeros. */
  readonly forgetBias?: number;
}

/**
 * A long short-term memory, from h₀ = c₀ = 0 on. At each step, with [i | f | g | o] = x_t · kernel + h_{t−1} ·
 * recurrentKernel + bias:
 *
 *   c_t = σ(f)·c_{t−1} + σ(i)·tanh(g),   h_t = σ(o)·tanh(c_t).
 *
 * Shapes: x float32 [batch, time, features], time at least 1; kernel [features, 4·units]; recurrentKernel [units, 4·units];
 * bias [4·units]; y is h_time [batch, units], with `returnSequences` all h [batch, time, units].
 *
 * Steps are unrolled: a batch of another length is another recording. Every sequence begins anew; there is no carry from
 * batch to batch, and no mask.
 *
 * Throws `INVALID_ARGUMENT` for options that make no sense, `SHAPE_MISMATCH` and `DTYPE_MISMATCH` for other inputs.
 *
 * The order of gates is PyTorch's and Keras's. As in Keras there is one bias, the forget gate's begins as 1 (Jozefowicz
 * et al. 2015) and the last output is given by default; Keras's recurrent kernel is orthogonal. PyTorch has two biases,
 * which add up, and draws everything from U(±1/√units).
 *
 * Hochreiter and Schmidhuber 1997, "Long short-term memory"; Gers et al. 2000, "Learning to forget".
 */
export function lstm(units: number, options: LstmOptions = {}): Layer<LstmParams, None> {
  return lstmOf({ ...options, units }, fromCall('lstm'));
}

/** Rebuilds `lstm` from its spec. */
export const lstmDefinition = /* @__PURE__ */ defineLayer({
  name: 'lstm',
  version: 1,
  build: (spec, _registry, path) => lstmOf(specOptions(spec), fromSpec(path, 'lstm')),
});

function lstmOf(raw: RawOptions, source: OptionSource): Layer<LstmParams, None> {
  const options = readOptions(raw, source);
  const units = options.positiveInteger('units');
  const returnSequences = options.boolean('returnSequences', false);
  const kernelInitializer = readInitializer(options, 'kernelInitializer', 'glorotUniform');
  const recurrentInitializer = readInitializer(options, 'recurrentInitializer', 'glorotUniform');
  const forgetBias = options.number('forgetBias', 1);
  options.end();

  return frozenLayer<LstmParams, None>({
    spec: {
      layer: 'lstm',
      version: 1,
      units,
      returnSequences,
      kernelInitializer,
      recurrentInitializer,
      forgetBias,
    },
    init(key, input: TensorSpec, path = '') {
      const where = path || 'lstm';
      const features = checkSequence(input, where, undefined, 'features');
      checkTime(input, where);
      const bias = new Float32Array(4 * units).fill(forgetBias, units, 2 * units);
      return {
        params: {
          kernel: initialize(kernelInitializer, key.foldIn('kernel'), [features, 4 * units], where),
          recurrentKernel: initialize(
            recurrentInitializer,
            key.foldIn('recurrentKernel'),
            [units, 4 * units],
            where,
          ),
          bias: ndarray('float32', [4 * units], bias),
        },
        state: {},
        output: {
          dtype: 'float32',
          shape: returnSequences ? [input.shape[0], input.shape[1], units] : [input.shape[0], units],
        },
      };
    },
    apply(params, state, input: Tensor, context) {
      const where = context.path || 'lstm';
      const [kernel, recurrentKernel, bias] = leaves(params, ['kernel', 'recurrentKernel', 'bias'], where);
      checkSequence(input, where, kernel.shape[0], 'features');
      checkTime(input, where);
      const outputs = unroll(input, kernel, recurrentKernel, bias);
      const output = returnSequences ? stack(outputs, 1) : outputs[outputs.length - 1];
      return { output, state };
    },
  });
}

/** The hidden states h₁ … h_time, [batch, units] each. */
function unroll(x: Tensor, kernel: Tensor, recurrentKernel: Tensor, bias: Tensor): Tensor[] {
  const [batch, time] = x.shape;
  const units = recurrentKernel.shape[0] as number;
  // With time first, one product does for all steps, and the rows of each lie together.
  const projected = affine(transpose(x, [1, 0, 2]), kernel, bias);
  // tfjs can't differentiate an unstack into a single part.
  const steps = time === 1 ? [reshape(projected, [batch, 4 * units])] : unstack(projected, 0);
  const outputs: Tensor[] = [];
  let cell: Tensor = zeros([batch, units]);
  for (const step of steps) {
    const before = outputs.at(-1);
    const gates = before ? add(step, matMul(before as Tensor2D, recurrentKernel as Tensor2D)) : step;
    const [hidden, next] = split(lstmCell(gates, cell), 2, 1);
    outputs.push(hidden);
    cell = next;
  }
  return outputs;
}

function checkTime(input: InputLike, where: string): void {
  if (input.shape[1] !== 0) return;
  throw shapeError(where, '[batch, time, features] with a time of at least 1', input);
}
