/** A training loop of one's own: a compiled step, an optimizer, a `for`. `with-trainer.ts` ends with the same bits. */
import { wasm } from '@tenon-ml/backend-wasm';
import type { Params } from '@tenon-ml/core';
import { compile, createContext, createKey, read, scalars, upload, valueAndGrad, weightedMean } from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';
import { epochs, input, loss, model, optimizer, seed, train } from './digits.js';

type Tensors = Params<Tensor>;
type Batch = { input: Tensor; target: Tensor };

const backend = wasm();
await backend.init();
const step = compile(
  (params: Tensors, state: Tensors, batch: Batch, rates: Record<string, Tensor>, key: Tensor) => {
    const { value, grads } = valueAndGrad((p: Tensors) => {
      const { output } = model.apply(p, {}, batch.input, createContext({ training: true, key }));
      return weightedMean(loss(output, batch.target));
    })(params);
    return { value, ...optimizer.update(grads, state, params, rates) };
  },
  { backend, donate: [0, 1] },
);

const key = createKey(seed);
const initial = model.init(key.foldIn('params'), input).params;
let { params, state } = upload({ params: initial, state: optimizer.init(initial) }, backend);
let count = 0;
for (let epoch = 0; epoch < epochs; epoch++) {
  for await (const batch of train.iterator({ epoch })) {
    const rates = scalars(optimizer.scalars(count));
    const result = step(params, state, batch, rates, key.foldIn('step').foldIn(count++).toNdArray());
    ({ params, state } = result);
    const [value] = (await read(result.value)).data;
    if (count % 45 === 0) console.log(`epoch ${epoch + 1}, step ${count}: loss ${Number(value).toFixed(4)}`);
  }
}
export const trained = await read(params);
await backend.dispose();
