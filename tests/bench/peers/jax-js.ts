/**
 * jax-js on its wasm backend: the whole step (loss, gradients and Adam) in one `jit`, where its own examples leave the
 * optimizer outside. It has no threads in Node. Every use of an array consumes it, hence `.ref`.
 */
import type * as Jax from '@jax-js/jax';
import { matmul } from '../workloads/matmul.js';
import { openGpus } from './dawn.js';
import { type JaxArray, type Network, networks, type Params } from './jax_networks.js';
import {
  installedVersion,
  optional,
  type Started,
  serve,
  Unavailable,
  type Unit,
  Unsupported,
} from './serve.js';

const [beta1, beta2, epsilon, learningRate] = [0.9, 0.999, 1e-8, 1e-5];

await serve(async ({ backend }) => {
  const jax = await optional(() => import('@jax-js/jax'), '@jax-js/jax');
  const device = backend as 'wasm' | 'webgpu';
  if (device === 'webgpu') {
    const { gpu, backend: found } = await openGpus();
    if (found === 'webgpu-null') throw new Unavailable('there is no GPU');
    Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  }
  const ready = await jax.init(device);
  if (!ready.includes(device)) throw new Unavailable(`jax-js finds no ${device} here`);
  jax.defaultDevice(device);
  const version = installedVersion(import.meta.resolve('@jax-js/jax'));
  return { version, backend, threads: 1, start: (unit) => start(jax, unit) };
});

function start(jax: typeof Jax, unit: Unit): Started {
  if (unit.workload === 'matmul') return product(jax, unit.case);
  const network = networks(jax)[unit.workload === 'inference' ? 'cifar10-cnn' : unit.workload];
  if (!network) throw new Unsupported(`${unit.workload} is not written in jax-js here`);
  if (unit.workload === 'inference') return inference(jax, network, unit.batch);
  return training(jax, network, unit.batch);
}

function training(jax: typeof Jax, network: Network, batch: number): Started {
  const { numpy: np, nn, tree } = jax;
  const { input, labels } = network.data(batch);
  let params = initialize(jax, network);
  let first = zerosLike(jax, params);
  let second = zerosLike(jax, params);
  let count = 0;

  const loss = (p: Params, x: JaxArray, y: JaxArray): JaxArray => {
    const logits = network.apply(p, x);
    const rows = logits.size / network.classes;
    return nn
      .logSoftmax(logits.reshape([rows, network.classes]))
      .mul(nn.oneHot(y, network.classes))
      .sum()
      .mul(-1 / rows);
  };
  const step = jax.jit(
    (p: Params, m: Params, v: Params, x: JaxArray, y: JaxArray, rate: JaxArray, correction: JaxArray) => {
      const [value, grads] = jax.valueAndGrad(loss)(tree.ref(p), x, y);
      const next: [Params, Params, Params] = [{}, {}, {}];
      for (const name of Object.keys(p)) {
        const gradient = (grads as Params)[name];
        const moment = m[name].mul(beta1).add(gradient.ref.mul(1 - beta1));
        const square = v[name].mul(beta2).add(np.square(gradient).mul(1 - beta2));
        const divisor = np.sqrt(square.ref.mul(correction.ref)).add(epsilon);
        next[0][name] = p[name].sub(moment.ref.mul(rate.ref).div(divisor));
        [next[1][name], next[2][name]] = [moment, square];
      }
      rate.dispose();
      correction.dispose();
      return [...next, value] as [Params, Params, Params, JaxArray];
    },
  );
  return {
    async step() {
      count++;
      let value: JaxArray;
      [params, first, second, value] = step(
        params,
        first,
        second,
        input.ref,
        labels.ref,
        np.array(learningRate / (1 - beta1 ** count)),
        np.array(1 / (1 - beta2 ** count)),
      );
      await jax.blockUntilReady([params, first, second]);
      return (await value.jsAsync()) as number;
    },
    dispose() {
      tree.dispose([params, first, second, input, labels]);
    },
  };
}

function inference(jax: typeof Jax, network: Network, batch: number): Started {
  const { tree } = jax;
  const params = initialize(jax, network);
  const { input, labels } = network.data(batch);
  labels.dispose();
  const forward = jax.jit(network.apply);
  return {
    async step() {
      await forward(tree.ref(params), input.ref).data();
      return undefined;
    },
    dispose() {
      tree.dispose([params, input]);
    },
  };
}

function product(jax: typeof Jax, name: string): Started {
  const found = matmul.products.find((candidate) => candidate.case === name);
  if (!found) throw new Unsupported(`no product ${name}`);
  const { numpy: np, random } = jax;
  const left = random.normal(random.key(1), [found.rows, found.inner]);
  const right = random.normal(random.key(2), [found.inner, found.columns]);
  const multiply = jax.jit(np.matmul);
  return {
    async step() {
      const result = await jax.blockUntilReady(multiply(left.ref, right.ref));
      result.dispose();
      return undefined;
    },
    dispose() {
      left.dispose();
      right.dispose();
    },
  };
}

/** Uniform values of standard deviation 1/√fan-in for kernels, ones for scales, zeros for the rest. */
function initialize({ numpy: np, random }: typeof Jax, { params }: Network): Params {
  const made: Params = {};
  for (const [index, [name, { shape, fanIn }]] of Object.entries(params).entries()) {
    const limit = Math.sqrt(3 / fanIn);
    made[name] = Number.isFinite(limit)
      ? random.uniform(random.key(index), [...shape], { minval: -limit, maxval: limit })
      : np.zeros([...shape]);
    if (name.endsWith('scale')) made[name] = made[name].add(1);
  }
  return made;
}

function zerosLike({ numpy: np }: typeof Jax, params: Params): Params {
  return Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, np.zeros(shape)]));
}
