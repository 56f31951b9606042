/**
 * tfjs-layers on tfjs's own backends: models as its users write them, `trainOnBatch` and `predict`. With the backend
 * 'tensorflow' it is tfjs-node, whose install script downloads libtensorflow: present only where somebody ran that.
 */
import type * as Core from '@tensorflow/tfjs-core';
import type * as Layers from '@tensorflow/tfjs-layers';
import { matmul } from '../workloads/matmul.js';
import { openGpus } from './dawn.js';
import { optional, type Peer, type Started, serve, Unavailable, type Unit, Unsupported } from './serve.js';

type Tfjs = typeof Core & typeof Layers;

const learningRate = 1e-5;

await serve(async ({ backend }): Promise<Peer> => {
  const tf = await load(backend);
  await tf.setBackend(backend);
  await tf.ready();
  return { version: tf.version_core, backend, threads: 1, start: (unit) => start(tf, unit) };
});

async function load(backend: string): Promise<Tfjs> {
  if (backend === 'tensorflow') {
    const name = '@tensorflow/tfjs-node';
    return optional(() => import(name), name);
  }
  const core = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-core/dist/register_all_gradients');
  const layers = await optional(() => import('@tensorflow/tfjs-layers'), '@tensorflow/tfjs-layers');
  if (backend === 'cpu') await import('@tensorflow/tfjs-backend-cpu');
  else if (backend === 'webgpu') await loadWebGpu();
  else await optional(() => import('@tensorflow/tfjs-backend-wasm'), '@tensorflow/tfjs-backend-wasm');
  return { ...core, ...layers };
}

/** tfjs looks for a GPU when its backend is imported. */
async function loadWebGpu(): Promise<void> {
  const { gpu, backend } = await openGpus();
  if (backend === 'webgpu-null') throw new Unavailable('there is no GPU');
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  await optional(() => import('@tensorflow/tfjs-backend-webgpu'), '@tensorflow/tfjs-backend-webgpu');
}

async function start(tf: Tfjs, unit: Unit): Promise<Started> {
  const { workload, batch } = unit;
  if (workload === 'matmul') return product(tf, unit.case);
  if (workload === 'inference') {
    const model = build(tf, 'cifar10-cnn');
    const input = new Float32Array(batch * 32 * 32 * 3).map(Math.random);
    return {
      async step() {
        const images = tf.tensor4d(input, [batch, 32, 32, 3]);
        const output = model.predict(images) as Core.Tensor;
        await output.data();
        tf.dispose([images, output]);
        return undefined;
      },
      dispose: () => void model.dispose(),
    };
  }
  const model = build(tf, workload);
  model.compile({ optimizer: tf.train.adam(learningRate), loss: 'categoricalCrossentropy' });
  const shape = [batch, ...(model.inputs[0].shape.slice(1) as number[])];
  const size = shape.reduce((product, length) => product * length, 1);
  const input = new Float32Array(size).map(Math.random);
  const labels = Int32Array.from({ length: batch }, () => Math.floor(Math.random() * 10));
  return {
    async step() {
      const x = tf.tensor(input, shape);
      const y = tf.tidy(() => tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), 10), 'float32'));
      const loss = await model.trainOnBatch(x, y);
      tf.dispose([x, y]);
      return loss as number;
    },
    dispose: () => void model.dispose(),
  };
}

function build(tf: Tfjs, workload: string): Layers.LayersModel {
  const { layers } = tf;
  const relu = 'relu';
  if (workload === 'cifar10-cnn') {
    return tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [32, 32, 3], filters: 32, kernelSize: 3, activation: relu }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 64, kernelSize: 3, activation: relu }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 64, kernelSize: 3, activation: relu }),
        layers.flatten(),
        layers.dense({ units: 64, activation: relu }),
        layers.dense({ units: 10, activation: 'softmax' }),
      ],
    });
  }
  if (workload === 'mlp') {
    return tf.sequential({
      layers: [
        layers.dense({ inputShape: [784], units: 512, activation: relu }),
        layers.dense({ units: 512, activation: relu }),
        layers.dense({ units: 10, activation: 'softmax' }),
      ],
    });
  }
  if (workload === 'lstm') {
    return tf.sequential({
      layers: [
        // The default, an orthogonal matrix, takes tfjs seconds to draw.
        layers.lstm({
          inputShape: [64, 64],
          units: 128,
          recurrentActivation: 'sigmoid',
          recurrentInitializer: 'glorotUniform',
        }),
        layers.dense({ units: 10, activation: 'softmax' }),
      ],
    });
  }
  if (workload === 'resnet8') return resnet8(tf);
  throw new Unsupported(workload === 'gpt-nano' ? 'tfjs-layers has no attention' : `no workload ${workload}`);
}

function resnet8(tf: Tfjs): Layers.LayersModel {
  const { layers } = tf;
  const convolve = (x: Layers.SymbolicTensor, filters: number, strides: number, kernelSize = 3) => {
    const kernel = layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false });
    return layers.batchNormalization().apply(kernel.apply(x)) as Layers.SymbolicTensor;
  };
  const relu = (x: Layers.SymbolicTensor) => layers.reLU().apply(x) as Layers.SymbolicTensor;
  const block = (x: Layers.SymbolicTensor, filters: number, strides: number) => {
    const body = convolve(relu(convolve(x, filters, strides)), filters, 1);
    const shortcut = strides === 1 ? x : convolve(x, filters, strides, 1);
    return relu(layers.add().apply([body, shortcut]) as Layers.SymbolicTensor);
  };
  const input = tf.input({ shape: [32, 32, 3] });
  const stem = relu(convolve(input, 16, 1));
  const features = block(block(block(stem, 16, 1), 32, 2), 64, 2);
  const pooled = layers.globalAveragePooling2d({}).apply(features) as Layers.SymbolicTensor;
  const outputs = layers.dense({ units: 10, activation: 'softmax' }).apply(pooled) as Layers.SymbolicTensor;
  return tf.model({ inputs: input, outputs });
}

function product(tf: Tfjs, name: string): Started {
  const found = matmul.products.find((candidate) => candidate.case === name);
  if (!found) throw new Unsupported(`no product ${name}`);
  const left = tf.randomNormal([found.rows, found.inner]) as Core.Tensor2D;
  const right = tf.randomNormal([found.inner, found.columns]) as Core.Tensor2D;
  return {
    step() {
      tf.matMul(left, right).dispose();
      return undefined;
    },
    dispose: () => tf.dispose([left, right]),
  };
}
