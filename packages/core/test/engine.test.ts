import { engine, scalar, type Tensor } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { internals, nextTensorId, override, runScope } from '../src/engine.js';
import { cpu } from './support.js';

beforeAll(() => cpu());

describe("tfjs's engine, in the version that is pinned", () => {
  it('has the methods that its types hide and we use', () => {
    const tfjs = internals() as unknown as Record<string, unknown>;
    for (const method of [
      'keep',
      'makeVariable',
      'addTapeNode',
      'runKernel',
      'track',
      'isTapeOn',
      'startScope',
      'endScope',
      'makeTensor',
      'initializeBackend',
      'gradients',
    ]) {
      expect(tfjs[method], method).toBeTypeOf('function');
    }
    expect(Object.keys(internals().state)).toEqual(
      expect.arrayContaining(['numTensors', 'gradientDepth', 'scopeStack', 'tensorInfo', 'kernelDepth']),
    );
    expect(internals().registry.cpu).toBe(engine().findBackend('cpu'));
    expect(internals().state.tensorInfo).toBeInstanceOf(WeakMap);
  });

  it('numbers its tensors, one after the other', () => {
    const next = nextTensorId();
    const [a, b] = [scalar(1), scalar(2)];
    expect([a.id, b.id, nextTensorId()]).toEqual([next, next + 1, next + 2]);
    a.dispose();
    b.dispose();
  });

  it('calls its own methods where they can be overridden', () => {
    const calls: string[] = [];
    const undo = [
      override('keep', (original) => (tensor) => {
        calls.push('keep');
        return original(tensor);
      }),
      override('runKernel', (original) => (kernel, ...rest) => {
        calls.push(kernel);
        return original(kernel, ...rest);
      }),
      override('addTapeNode', (original) => (kernel, ...rest) => {
        calls.push(`tape ${kernel}`);
        original(kernel, ...rest);
      }),
    ];
    const x = scalar(3);
    const { value, grads } = internals().gradients(
      () => engine().runKernel('Square', { x }) as Tensor,
      [x],
      undefined,
      true,
    );
    for (const restore of undo.reverse()) restore();
    // The saved input is a clone that is kept; the tape follows both.
    expect(calls.slice(0, 5)).toEqual(['Square', 'Identity', 'tape forward', 'keep', 'tape Square']);
    expect(Object.hasOwn(internals(), 'keep')).toBe(false);
    for (const tensor of [x, value, grads[0]]) tensor?.dispose();
  });
});

describe('override', () => {
  it('nests, and is undone from the inside out', () => {
    const original = internals().keep;
    const seen: string[] = [];
    const wrap = (name: string) =>
      override('keep', (keep) => (tensor) => {
        seen.push(name);
        return keep(tensor);
      });
    const outer = wrap('outer');
    const inner = wrap('inner');
    const x = scalar(1);
    internals().keep(x);
    inner();
    internals().keep(x);
    outer();
    internals().keep(x);
    expect(seen).toEqual(['inner', 'outer', 'outer']);
    expect(internals().keep).toBe(original);
    x.dispose();
  });
});

describe('runScope', () => {
  it('frees what was made, but what escapes, which no scope around frees', () => {
    const before = internals().state.numTensors;
    const kept = engine().tidy(() => {
      const made = runScope(
        'test',
        () => [scalar(1), scalar(2)],
        ([first]) => [first],
      );
      return { first: () => made[0], second: () => made[1] } as unknown as Tensor;
    }) as unknown as { first(): Tensor; second(): Tensor };
    expect([kept.first().isDisposed, kept.second().isDisposed]).toEqual([false, true]);
    expect(internals().state.numTensors).toBe(before + 1);
    kept.first().dispose();
  });
});
