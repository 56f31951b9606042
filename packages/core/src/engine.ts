import { clone, engine, type KernelBackend, Tensor } from '@tensorflow/tfjs-core';
import type { Backend } from './backend.js';
import { TenonError } from './errors.js';
import { isNdArray } from './ndarray.js';

/**
 * What we use of tfjs's engine that its types hide. The version of tfjs-core is pinned, and `test/engine.test.ts`
 * fails if one of these goes away.
 */
interface EngineInternals {
  backendName: string | null;
  backendInstance: KernelBackend | null;
  pendingBackendInit: Promise<boolean> | null | undefined;
  registry: { [name: string]: KernelBackend };
  state: {
    numTensors: number;
    activeTape: TapeNode[] | null;
    gradientDepth: number;
    kernelDepth: number;
    activeScope: object | null;
    tensorInfo: WeakMap<object, { backend: KernelBackend }>;
  };
  keep(tensor: Tensor): Tensor;
  makeVariable(...args: unknown[]): Tensor;
  addTapeNode(
    kernel: string,
    inputs: object,
    outputs: Tensor[],
    gradient: GradientFunction | null,
    saved: Tensor[],
    attrs: object,
  ): void;
  runKernel(kernel: string, inputs: object, attrs?: object): unknown;
  track(tensor: Tensor): Tensor;
  isTapeOn(): boolean;
  startScope(name?: string): void;
  endScope(result?: unknown): void;
  makeTensor(values: unknown, shape: readonly number[], dtype: string, backend?: KernelBackend): Tensor;
  initializeBackend(name: string): { success: boolean | Promise<boolean>; asyncInit: boolean };
  gradients(
    f: () => Tensor,
    xs: readonly Tensor[],
    dy: Tensor | undefined,
    allowNoGradients: boolean,
  ): { value: Tensor; grads: (Tensor | undefined)[] };
}

/** One operation that a gradient tape has seen. */
interface TapeNode {
  readonly inputs: { readonly [name: string]: Tensor };
  readonly outputs: readonly Tensor[];
  readonly saved: readonly Tensor[];
}

/** What a tape node calls in the backward pass: gradients by the name of the input. */
type GradientFunction = (dy: unknown, saved: Tensor[], attrs: object) => { [input: string]: () => Tensor };

/** tfjs's engine, with what its types hide. */
export function internals(): EngineInternals {
  return engine() as unknown as EngineInternals;
}

/** The id of the next tensor that tfjs makes: whatever has a smaller one was there before. */
export function nextTensorId(): number {
  return (engine().constructor as unknown as { nextTensorId: number }).nextTensorId;
}

/** Puts another function in the place of one of the engine's methods; what is returned puts it back. */
export function override<M extends 'keep' | 'makeVariable' | 'addTapeNode' | 'runKernel'>(
  method: M,
  wrap: (original: EngineInternals[M]) => EngineInternals[M],
): () => void {
  const tfjs: Partial<EngineInternals> = internals();
  const hadOwn = Object.hasOwn(tfjs, method);
  const before = tfjs[method] as EngineInternals[M];
  tfjs[method] = wrap(before.bind(tfjs) as EngineInternals[M]);
  return () => {
    if (hadOwn) tfjs[method] = before;
    else delete tfjs[method];
  };
}

/** The number of tensors alive in this process, on all backends: for leak checks. */
export function tensorCount(): number {
  return internals().state.numTensors;
}

/**
 * A name for a backend that is registered with tfjs: `base`, or with a number where that is taken. tfjs keys kernels by
 * `BACKEND_KERNEL` and splits at the first `_`, so there is none in it. What tfjs knows is asked, rather than counted:
 * another copy of the backend's package may be in the process.
 */
export function freeEngineName(base: string): string {
  const taken = new Set(engine().backendNames());
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}${count}`;
  return name;
}

/**
 * For a backend that is disposed of: takes what lives on it out of tfjs's books. Tensors that are left have no values any
 * more. `live` are the ids of its data.
 */
export function forgetTensors(backend: KernelBackend, live: Iterable<object>): void {
  const { state } = engine();
  for (const variable of Object.values(state.registeredVariables)) {
    if (state.tensorInfo.get(variable.dataId)?.backend === backend) variable.dispose();
  }
  for (const dataId of live) {
    const info = state.tensorInfo.get(dataId);
    // Parts of complex tensors are in no book of tfjs's.
    if (info?.backend !== backend) continue;
    const tensors = backend.refCount(dataId);
    state.numTensors -= tensors;
    if (info.dtype === 'string') state.numStringTensors -= tensors;
    // As tfjs counts: strings once.
    state.numBytes -= info.dtype === 'string' ? info.bytes : info.bytes * tensors;
    engine().removeDataId(dataId, backend);
  }
}

/**
 * Starts a backend that is registered with tfjs, and leaves the active one as it was. Where none is, this one becomes
 * it: tfjs would otherwise start a backend at its first op outside of ours, and replace this one's instance by another,
 * which knows none of its tensors.
 */
export async function startEngineBackend(name: string): Promise<void> {
  if (!engine().backendNames().includes(name)) {
    throw new TenonError({
      code: 'BACKEND_UNAVAILABLE',
      where: name,
      message: `tfjs knows no backend '${name}'`,
      hint: `Import its package first, for example '@tensorflow/tfjs-backend-${name}'.`,
    });
  }
  const tfjs = internals();
  // One after the other: tfjs gives up a start that it is waiting for when it begins another.
  while (tfjs.pendingBackendInit) await tfjs.pendingBackendInit;
  const isNew = !tfjs.registry[name];
  if (isNew) {
    const { success, asyncInit } = tfjs.initializeBackend(name);
    if (!(asyncInit ? await success : success)) {
      throw new TenonError({
        code: 'BACKEND_UNAVAILABLE',
        where: name,
        message: `the tfjs backend '${name}' did not start`,
        hint: "tfjs's own message is on the console.",
      });
    }
  }
  // Sets up the kernels, and the profiler that tfjs's debugging modes need; at once, since the instance is there.
  const activate = (): void => void engine().setBackend(name);
  if (!tfjs.backendInstance) activate();
  else if (isNew) asActive(name, activate);
}

/** tfjs's object for a backend that has been started. Throws `BACKEND_UNAVAILABLE` for one that has not. */
export function engineBackend(backend: Backend): KernelBackend {
  const instance = internals().registry[backend.engineName];
  if (instance) return instance;
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where: backend.name,
    message: 'this backend has not been started, or was disposed',
    hint: 'Call `await backend.init()` first.',
  });
}

/** Runs `f` with a backend as tfjs's active one, whatever was active before; synchronous, so nobody else sees it. */
export function withBackend<T>(backend: Backend, f: () => T): T {
  engineBackend(backend);
  return asActive(backend.engineName, f);
}

function asActive<T>(name: string, f: () => T): T {
  const tfjs = internals();
  const { backendName, backendInstance, pendingBackendInit } = tfjs;
  tfjs.backendName = name;
  tfjs.backendInstance = tfjs.registry[name];
  // While another backend starts, tfjs refuses to run anything.
  tfjs.pendingBackendInit = null;
  try {
    return f();
  } finally {
    Object.assign(tfjs, { backendName, backendInstance, pendingBackendInit });
  }
}

/** Runs `f` on a backend inside a scope, which must not be one of another backend: throws `BACKEND_MISMATCH`. */
export function withinBackend<T>(backend: Backend, name: string, f: () => T): T {
  const active = internals().backendInstance;
  if (!active || active === engineBackend(backend)) return withBackend(backend, f);
  throw new TenonError({
    code: 'BACKEND_MISMATCH',
    where: name,
    message: `this function is bound to the backend '${backend.name}', and was called inside one of another backend`,
    hint: 'Compile both for the same backend.',
  });
}

/** Gives a kept tensor to the scope around, which frees it unless it is returned; outside of any, to the caller. */
export function handOver(tensor: Tensor): void {
  (tensor as { kept: boolean }).kept = false;
  internals().track(tensor);
}

/** Throws `INVALID_ARGUMENT` for what is no tensor. */
export function checkTensor(value: unknown, where: string, expected = 'a tensor'): asserts value is Tensor {
  if (value instanceof Tensor) return;
  const got = isNdArray(value) ? 'an NdArray' : value === null ? 'null' : typeof value;
  const hint =
    typeof value === 'number'
      ? 'Numbers that change from step to step are passed as scalar(value).'
      : isNdArray(value)
        ? 'Host values become tensors as arguments of a compiled function, or by upload().'
        : undefined;
  throw new TenonError({ code: 'INVALID_ARGUMENT', where, expected, got, hint });
}

/** Throws `IMPURE_FUNCTION` if `result` is a Promise, whose rejection then is nobody's. */
export function refusePromise(result: unknown, where: string): void {
  if (!(result instanceof Promise)) return;
  result.catch(() => {});
  throw new TenonError({
    code: 'IMPURE_FUNCTION',
    where,
    message: 'the function must be synchronous, and this one returned a Promise',
    hint: 'Read values outside: await read(step(…)).',
  });
}

/** Whether a gradient tape is recording. */
export function isRecordingGradients(): boolean {
  return internals().state.gradientDepth > 0;
}

/** Runs `f` unseen by any gradient tape: what it returns is a constant to all of them. */
export function withoutGradient<T>(f: () => T): T {
  const { state } = internals();
  state.kernelDepth++;
  try {
    return f();
  } finally {
    state.kernelDepth--;
  }
}

/** Whether a scope of ours is open; tfjs's own `tidy` doesn't count. */
export function isInScope(): boolean {
  return Object.hasOwn(internals(), 'keep');
}

/**
 * Runs `f` in a scope of its own and disposes everything it made but what `escaping` picks from its result.
 *
 * tfjs's `tidy` is not enough: what a gradient tape saves is "kept" and freed only by a backward pass that ends well,
 * and a throw leaves the tape itself behind. So `keep` is watched while `f` runs, and everything made and kept inside
 * is freed, on a throw too. Variables, which no scope of tfjs tracks, are treated alike.
 *
 * Picked tensors are kept in turn: whoever gets them frees them.
 */
export function runScope<T>(name: string, f: () => T, escaping: (result: T) => readonly Tensor[]): T {
  const tfjs = internals();
  const { gradientDepth, activeTape } = tfjs.state;
  const first = nextTensorId();
  const kept: Tensor[] = [];
  const watch = (tensor: Tensor): Tensor => {
    if (tensor.id >= first) kept.push(tensor);
    return tensor;
  };
  const outermost = !isInScope();
  const restore = [
    override('keep', (original) => (tensor) => watch(original(tensor))),
    override(
      'makeVariable',
      (original) =>
        (...args) =>
          watch(original(...args)),
    ),
  ];
  if (outermost) restore.push(override('addTapeNode', mendTape));
  let escaped: readonly Tensor[] = [];
  // Not the bare name: tfjs takes a custom gradient's scope for a kernel where one has that name.
  tfjs.startScope(`in ${name}`);
  try {
    const result = f();
    escaped = escaping(result);
    return result;
  } catch (error) {
    tfjs.state.gradientDepth = gradientDepth;
    tfjs.state.activeTape = gradientDepth === 0 ? null : activeTape;
    throw error;
  } finally {
    for (const undo of restore.reverse()) undo();
    for (const tensor of escaped) tfjs.keep(tensor);
    tfjs.endScope();
    const survivors = new Set(escaped);
    for (const tensor of kept) if (!survivors.has(tensor) && !tensor.isDisposed) tensor.dispose();
  }
}

/**
 * What tfjs's tape gets wrong. It frees gradients one by one while it adds them up, and what a custom gradient saved
 * when the tape ends: a gradient that is dy itself, a saved tensor, or another input's gradient would be handed on
 * disposed. So each gets its own. And see `moveBeforeSaved`.
 */
function mendTape(addTapeNode: EngineInternals['addTapeNode']): EngineInternals['addTapeNode'] {
  return (kernel, inputs, outputs, gradient, saved, attrs) => {
    const cloned: GradientFunction | null =
      gradient &&
      ((dy, kept, constants) =>
        Object.fromEntries(
          Object.entries(gradient(dy, kept, constants)).map(([input, of]) => [input, () => clone(of())]),
        ));
    addTapeNode(kernel, inputs, outputs, cloned, saved, attrs);
    const { activeTape, gradientDepth } = internals().state;
    // Only a gradient of a gradient follows what was saved.
    if (gradientDepth > 1 && activeTape && saved.length > 0) moveBeforeSaved(activeTape, saved.length);
  };
}

/**
 * Puts the last node of a tape before the clones of its outputs. tfjs enters an operation after the clones that it
 * saved, and a tape is read in order: what a second derivative owes to a saved output (of tanh, exp, softmax) would be
 * lost in silence.
 */
function moveBeforeSaved(tape: TapeNode[], saved: number): void {
  const last = tape.length - 1;
  const node = tape[last];
  const isSavedOutput = (index: number): boolean => node.outputs.includes(tape[index].inputs.x);
  for (let index = Math.max(0, last - saved); index < last; index++) {
    if (!isSavedOutput(index)) continue;
    tape.pop();
    tape.splice(index, 0, node);
    return;
  }
}
