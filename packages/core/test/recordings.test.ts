import { cpu } from '@tenon-ml/testkit';
import { add, type Tensor, scalar as tfScalar } from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { withBackend } from '../src/engine.js';
import {
  type Backend,
  compile,
  type NdArray,
  type Origin,
  type Plan,
  type Precision,
  type Recorder,
  type Recording,
  RecordingMismatch,
  read,
  scalar,
  tensorCount,
  upload,
} from '../src/index.js';

/** What a plan of the recorder below adds to the function's own result, 2·x: it shows who computed it. */
const MARK = 0.25;

interface Log {
  begun: number;
  plans: number;
  disposed: number;
}

/** A recorder for functions that double a number; `differs` is what it says of two calls. */
function recorder(
  log: Log,
  options: {
    changesNumbers: boolean;
    differs?: () => string | undefined;
    fails?: () => boolean;
    begins?: () => void;
    runs?: () => void;
  },
): Recorder {
  return {
    changesNumbers: options.changesNumbers,
    begin(): Recording {
      options.begins?.();
      log.begun++;
      return { end() {}, reason: undefined };
    },
    difference: () => options.differs?.(),
    plan(): Plan {
      log.plans++;
      if (options.fails?.()) throw new Error('no room for a plan');
      return {
        commands: 1,
        bytes: 4,
        run: ([x]) => {
          options.runs?.();
          const value = Number((x as NdArray).data[0]);
          return [tfScalar(2 * value + MARK)];
        },
        dispose: () => void log.disposed++,
      };
    },
  };
}

const plain = cpu();
beforeAll(() => plain.init());

function doubler(options: Parameters<typeof recorder>[1]) {
  const log: Log = { begun: 0, plans: 0, disposed: 0 };
  const backend: Backend = {
    name: 'recording',
    engineName: plain.engineName,
    init: () => plain.init(),
    dispose: async () => {},
    recorder: recorder(log, options),
  };
  const double = compile((x: Tensor) => add(x, x), { backend, name: 'double' });
  const call = async (x: number): Promise<number> => Number((await read(double(scalar(x)))).data[0]);
  return { log, call, backend, explain: double.explain };
}

let before = 0;
beforeAll(() => {
  before = tensorCount();
});
afterEach(() => expect(tensorCount()).toBe(before));

describe('a recorder whose plans give the same numbers', () => {
  test('is asked for a plan when two calls agree, which the third one runs', async () => {
    const { log, call, explain } = doubler({ changesNumbers: false });
    expect([await call(1), await call(2), await call(3)]).toEqual([2, 4, 6 + MARK]);
    expect(log).toEqual({ begun: 2, plans: 1, disposed: 0 });
    expect(explain()).toMatchObject({ mode: 'replayed', calls: 3, replayed: 1 });
  });

  test('is given up after two disagreements', async () => {
    const { call, explain, log } = doubler({ changesNumbers: false, differs: () => 'they differ' });
    for (let i = 0; i < 5; i++) expect(await call(i)).toBe(2 * i);
    expect(log).toEqual({ begun: 3, plans: 0, disposed: 0 });
    expect(explain()).toMatchObject({ mode: 'eager', reason: 'they differ' });
  });
});

describe('a recorder whose plans change numbers', () => {
  test('gives the plan’s numbers from the first call on', async () => {
    const { log, call, explain } = doubler({ changesNumbers: true });
    for (let i = 0; i < 4; i++) expect(await call(i)).toBe(2 * i + MARK);
    // The plan of the first call goes, that of the second stays.
    expect(log).toEqual({ begun: 2, plans: 2, disposed: 1 });
    expect(explain()).toMatchObject({ mode: 'replayed', calls: 4, replayed: 2 });
  });

  test('keeps no plan of calls that differ, and ends eagerly', async () => {
    const { log, call, explain } = doubler({ changesNumbers: true, differs: () => 'they differ' });
    expect([await call(1), await call(2), await call(3), await call(4)]).toEqual([2 + MARK, 4 + MARK, 6, 8]);
    expect(log).toEqual({ begun: 3, plans: 2, disposed: 2 });
    expect(explain()).toMatchObject({ mode: 'eager', reason: 'they differ', recordings: [] });
  });

  test('that can’t make a plan leaves the call its own result', async () => {
    const { call, explain } = doubler({ changesNumbers: true, fails: () => true });
    expect([await call(1), await call(2)]).toEqual([2, 4]);
    expect(explain()).toMatchObject({ mode: 'eager', reason: 'no room for a plan' });
  });
});

describe('a plan that breaks', () => {
  test('makes the traced call throw, and is gone', async () => {
    let broken = true;
    const { log, call, explain } = doubler({
      changesNumbers: true,
      runs: () => {
        if (broken) throw new Error('the device is gone');
      },
    });
    await expect(call(1)).rejects.toThrow('the device is gone');
    expect(log).toEqual({ begun: 1, plans: 1, disposed: 1 });
    broken = false;
    for (let i = 0; i < 3; i++) expect(await call(i)).toBe(2 * i + MARK);
    expect(explain()).toMatchObject({ mode: 'replayed' });
  });

  test('as the call is not like the recorded one leaves the call its own result', async () => {
    const { log, call, explain } = doubler({
      changesNumbers: true,
      runs: () => {
        throw new RecordingMismatch('another shape');
      },
    });
    expect([await call(1), await call(2)]).toEqual([2, 4]);
    expect(log).toEqual({ begun: 1, plans: 1, disposed: 1 });
    expect(explain()).toMatchObject({ mode: 'eager', reason: 'another shape' });
  });
});

test('a recorder that can’t begin leaves nothing behind', async () => {
  const old = upload(scalar(5), plain);
  let fail = true;
  const { call, backend } = doubler({
    changesNumbers: true,
    begins: () => {
      if (fail) throw new Error('no memory to begin with');
    },
  });
  await expect(call(1)).rejects.toThrow('no memory to begin with');
  fail = false;
  expect(await call(2)).toBe(4 + MARK);
  // What watches for tensors from outside is gone as well.
  expect((await read(withBackend(backend, () => add(old, old)))).data[0]).toBe(10);
  old.dispose();
});

describe('a recorder is told', () => {
  /** What a function's recorder was told of its arguments, and what its plan was to compute in. */
  function told(precisions: readonly Precision[], precision?: Precision) {
    const heard: { origins: Origin[]; precision?: Precision } = { origins: [] };
    const log: Log = { begun: 0, plans: 0, disposed: 0 };
    const usual = recorder(log, { changesNumbers: true });
    const backend: Backend = {
      name: 'recording',
      engineName: plain.engineName,
      init: () => plain.init(),
      dispose: async () => {},
      recorder: {
        ...usual,
        precisions,
        begin(inputs, origins) {
          heard.origins = [...origins];
          return usual.begin(inputs, origins);
        },
        plan(recording, wanted) {
          heard.precision = wanted;
          return usual.plan(recording, wanted);
        },
      },
    };
    const f = compile((a: { x: Tensor; y: Tensor }, b: Tensor) => add(add(a.x, a.y), b), {
      backend,
      donate: [0],
      precision,
      name: 'f',
    });
    return { heard, f };
  }

  test('where each argument comes from', () => {
    const { heard, f } = told([]);
    const kept = upload(scalar(3), plain);
    f({ x: scalar(1), y: upload(scalar(2), plain) }, kept).dispose();
    kept.dispose();
    expect(heard.origins).toEqual(['host', 'donated', 'kept']);
  });

  test('the precision, which is float32 where nothing is said', () => {
    for (const precision of [undefined, 'mixed-float16'] as const) {
      const { heard, f } = told(['mixed-float16'], precision);
      f({ x: scalar(1), y: scalar(2) }, scalar(3)).dispose();
      expect(heard.precision).toBe(precision ?? 'float32');
    }
  });

  test('and one without that precision is refused', () => {
    const { f, heard } = told([], 'mixed-float16');
    expect(() => f({ x: scalar(1), y: scalar(2) }, scalar(3))).toThrow(
      expect.objectContaining({
        code: 'BACKEND_UNAVAILABLE',
        message: expect.stringContaining(
          "f: expected a backend that computes in 'mixed-float16', got 'recording', which computes in float32 here.",
        ),
      }),
    );
    expect(heard.origins).toEqual([]);
  });
});
