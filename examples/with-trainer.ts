/** The same training as `own-loop.ts`, by the trainer: validation, checkpoints and early stopping are options of it. */
import { wasm } from '@tenon-ml/backend-wasm';
import { accuracy } from '@tenon-ml/metrics';
import { createTrainer } from '@tenon-ml/train';
import { epochs, loss, model, optimizer, seed, test, train } from './digits.js';

const backend = wasm();
const trainer = await createTrainer({ model, loss, optimizer, metrics: [accuracy()], backend, seed });
for await (const event of trainer.run(train, { epochs })) {
  if (event.type === 'epoch') console.log(`epoch ${event.epoch + 1}: loss ${event.train.loss.toFixed(4)}`);
}
console.log('test', await trainer.evaluate(test));
export const trained = (await trainer.artifact()).params;
trainer.dispose();
await backend.dispose();
