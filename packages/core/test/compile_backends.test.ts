import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import {
  add,
  engine,
  env,
  getBackend,
  type KernelBackend,
  memory,
  mul,
  neg,
  profile,
  registerBackend,
  removeBackend,
  sum,
  type Tensor,
} from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type Backend,
  compile,
  fromNested,
  read,
  release,
  scalar,
  selectBackend,
  TenonError,
  tensorCount,
  tfjsBackend,
  toNested,
  upload,
  valueAndGrad,
  withBackend,
} from '../src/index.js';
import { anotherCpu, cpu, expectError } from './support.js';

let backend: Backend;
let other: Backend;
beforeAll(async () => {
  backend = await cpu();
  other = await anotherCpu();
});

describe('a call', () => {
  it('refuses tensors of another backend, and moves nothing', async () => {
    const before = tensorCount();
    const x = upload(fromNested([1, 2]), other);
    const step = compile((t: { x: Tensor }) => neg(t.x), { backend, donate: [0], name: 'step' });
    await expectError(
      () => step({ x }),
      'BACKEND_MISMATCH',
      'step, argument 1, x',
      "backend 'cpu'",
      'read() it',
    );
    expect(tensorCount()).toBe(before + 1);
    expect(toNested(await read(compile((t: Tensor) => neg(t), { backend: other })(x)))).toEqual([-1, -2]);
    release(x);
  });

  it('runs where it is bound to, whatever is active', async () => {
    const active = compile(
      (x: Tensor) => {
        expect(getBackend()).toBe('cpu2');
        return neg(x);
      },
      { backend: other },
    );
    withBackend(backend, () => {
      release(active(scalar(1)));
      expect(getBackend()).toBe('cpu');
    });
    expect.assertions(2);
  });

  it('of a function of another backend is refused inside a compiled function', async () => {
    const before = tensorCount();
    const inner = compile((x: Tensor) => neg(x), { backend: other, name: 'inner' });
    const outer = compile((x: Tensor) => inner(x), { backend });
    await expectError(() => outer(scalar(1)), 'BACKEND_MISMATCH', 'inner', "'cpu2'");
    expect(tensorCount()).toBe(before);
  });

  it('says so where the backend has not been started', async () => {
    const step = compile((x: Tensor) => neg(x), { backend: { ...backend, name: 'gpu', engineName: 'gpu' } });
    await expectError(() => step(scalar(1)), 'BACKEND_UNAVAILABLE', 'gpu', 'init()');
    await expectError(() => upload(scalar(1), tfjsBackend('gpu')), 'BACKEND_UNAVAILABLE');
  });

  it('works while another backend is starting', async () => {
    let started: (value: KernelBackend) => void = () => {};
    registerBackend('slow', () => new Promise<KernelBackend>((resolve) => (started = resolve)));
    const slow = tfjsBackend('slow');
    const starting = slow.init();
    const before = tensorCount();
    const step = compile((x: Tensor) => valueAndGrad((p: Tensor) => sum(mul(p, p)))(x), { backend });
    const { grads } = await read(step(fromNested([1, 2])));
    expect(toNested(grads)).toEqual([2, 4]);
    expect(tensorCount()).toBe(before);
    started(new MathBackendCPU());
    await starting;
    removeBackend('slow');
  });
});

describe('withBackend', () => {
  it('puts back what was active, after a throw as well', () => {
    withBackend(backend, () => {
      expect(withBackend(other, () => getBackend())).toBe('cpu2');
      expect(getBackend()).toBe('cpu');
      expect(() =>
        withBackend(other, () => {
          throw new Error('inside');
        }),
      ).toThrow('inside');
      expect(getBackend()).toBe('cpu');
    });
  });

  it('leaves the active backend alone when one starts', async () => {
    const { backendName } = engine();
    registerBackend('late', () => new MathBackendCPU());
    await tfjsBackend('late').init();
    expect(engine().backendName).toBe(backendName);
    removeBackend('late');
  });
});

describe('tfjsBackend', () => {
  it("is still there when tfjs's own ops run outside", async () => {
    const instance = engine().findBackend('cpu');
    const x = upload(fromNested([1, 2]), backend);
    expect(memory().numTensors).toBeGreaterThan(0);
    expect(engine().findBackend('cpu')).toBe(instance);
    const y = compile((t: Tensor) => neg(t), { backend })(add(x, 1));
    expect(toNested(await read(y))).toEqual([-2, -3]);
  });

  it('starts once, however often it is asked', async () => {
    let starts = 0;
    registerBackend('counted', async () => {
      starts++;
      await Promise.resolve();
      return new MathBackendCPU();
    });
    const counted = tfjsBackend('counted');
    const [first, second] = await Promise.all([counted.init(), counted.init()]);
    expect(await counted.init()).toEqual(first);
    expect(second).toEqual(first);
    expect(first).toMatchObject({ name: 'counted', threads: 1 });
    expect(starts).toBe(1);
    removeBackend('counted');
  });

  it('starts beside others that start', async () => {
    for (const name of ['one', 'two', 'three']) {
      registerBackend(name, async () => new MathBackendCPU());
    }
    await Promise.all(['one', 'two', 'three'].map((name) => tfjsBackend(name).init()));
    for (const name of ['one', 'two', 'three']) {
      expect(engine().registry[name]).toBeInstanceOf(MathBackendCPU);
      removeBackend(name);
    }
  });

  it('says why it did not start', async () => {
    await expectError(
      () => tfjsBackend('webgl').init(),
      'BACKEND_UNAVAILABLE',
      "no backend 'webgl'",
      '@tensorflow/tfjs-backend-webgl',
    );
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    registerBackend('broken', () => {
      throw new Error('no such device');
    });
    await expectError(() => tfjsBackend('broken').init(), 'BACKEND_UNAVAILABLE', 'did not start', 'console');
    warn.mockRestore();
    removeBackend('broken');
  });
});

describe('selectBackend', () => {
  const unavailable = (name: string): Backend => ({
    ...tfjsBackend(name),
    init: async () => {
      throw new TenonError({ code: 'BACKEND_UNAVAILABLE', where: name, message: `no ${name} here` });
    },
  });

  it('takes the first that starts, and says why the others did not', async () => {
    const selection = await selectBackend([unavailable('gpu'), backend, unavailable('never tried')]);
    expect(selection.backend).toBe(backend);
    expect(selection.info.name).toBe('cpu');
    expect(selection.unavailable.map(({ name, error }) => [name, error.message])).toEqual([
      ['gpu', 'gpu: no gpu here.'],
    ]);
  });

  it('gives every reason where none starts', async () => {
    const none = [unavailable('gpu'), unavailable('npu')];
    await expectError(() => selectBackend(none), 'BACKEND_UNAVAILABLE', 'no gpu here', 'no npu here');
    await expectError(() => selectBackend([]), 'BACKEND_UNAVAILABLE', 'none was given');
  });

  it('passes other errors on', async () => {
    const broken: Backend = { ...backend, init: () => Promise.reject(new RangeError('a bug')) };
    await expect(selectBackend([broken, backend])).rejects.toThrow(RangeError);
  });
});

describe("tfjs's debugging modes", () => {
  const step = () =>
    compile((x: Tensor) => valueAndGrad((p: Tensor) => sum(mul(p, add(p, 1))))(x), { backend });

  it('run compiled functions under profile', async () => {
    const before = tensorCount();
    const info = await profile(() => {
      release(Object.values(step()(fromNested([1, 2]))));
    });
    expect(info.kernelNames).toContain('Multiply');
    expect(tensorCount()).toBe(before);
  });

  it('run compiled functions under DEBUG', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    const before = tensorCount();
    env().set('DEBUG', true);
    try {
      const { grads } = await read(step()(fromNested([1, 2])));
      expect(toNested(grads)).toEqual([3, 5]);
    } finally {
      env().set('DEBUG', false);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(log).toHaveBeenCalled();
    expect(tensorCount()).toBe(before);
    log.mockRestore();
  });
});
