import { clone, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { Backend } from './backend.js';
import { deviceDType } from './dtype.js';
import {
  checkTensor,
  engineBackend,
  internals,
  isInScope,
  isRecordingGradients,
  nextTensorId,
  override,
  refusePromise,
  runScope,
  withBackend,
  withinBackend,
} from './engine.js';
import { TenonError } from './errors.js';
import { rememberHostValue } from './host_values.js';
import { checkNdArray, isNdArray, type NdArray } from './ndarray.js';
import { checkPrecision } from './precision.js';
import type { Origin, Precision, Recorder, Recording } from './recorder.js';
import { Recordings } from './recordings.js';
import {
  type Downloaded,
  type Feed,
  isNode,
  type Tree,
  treeEntries,
  treeLeaves,
  treeMap,
  type Uploaded,
} from './tree.js';

/** Where a compiled function runs, and what it may consume. */
export interface CompileOptions {
  /** Where the function runs; it has been started with `init`. */
  readonly backend: Backend;
  /**
   * Positions of arguments that the call may consume: their tensors are gone afterwards (unless it throws), and their
   * memory is the outputs'. Parameters, optimizer state and the like: what the function replaces.
   */
  readonly donate?: readonly number[];
  /** For messages; the function's own name by default. */
  readonly name?: string;
  /**
   * What recorded calls compute in, 'float32' by default. Calls throw `BACKEND_UNAVAILABLE` where the backend, once
   * started, can't; calls that can't be recorded run in float32, which `explain()` tells.
   */
  readonly precision?: Precision;
}

/** How calls of a compiled function run. */
export interface Explanation {
  /**
   * How the last call ran: 'eager', op by op; 'traced', eagerly while it was watched; 'replayed', from a recording. A
   * function that wasn't called is 'eager'.
   */
  readonly mode: 'eager' | 'traced' | 'replayed';
  /** Why calls like the last one run so, in words. */
  readonly reason: string;
  readonly calls: number;
  /** How many of them were replayed. */
  readonly replayed: number;
  /** The recordings that are kept, one for each signature (shapes, dtypes, structure) of the arguments. */
  readonly recordings: readonly {
    readonly signature: string;
    /** Kernels that a replay runs. */
    readonly commands: number;
    /** Bytes that it needs for what it makes in between. */
    readonly bytes: number;
  }[];
}

/** What `compile` returns: the function, callable with host values in the place of tensors. */
export interface Compiled<Args extends readonly unknown[], Out> {
  (...args: { [I in keyof Args]: Feed<Args[I]> }): Out;
  /** Whether calls are replayed from recordings, and if not, why. */
  explain(): Explanation;
}

/**
 * A pure, synchronous function over trees of tensors, bound to a backend. Inside it there is nothing to dispose: what
 * it makes is freed when it returns, but its outputs. Each output ends by being donated to a later call, by `read`,
 * by `release`, or with its backend.
 *
 * NdArrays among the arguments are uploaded, and freed by the call. Donated arguments are consumed: using one again
 * throws `TENSOR_CONSUMED`. Outputs never alias arguments or each other. A throw leaves the tensor count where it was,
 * and donated arguments alive. Inside another compiled function of the same backend, or under a gradient tape, it is
 * just the function: nothing is checked or consumed.
 *
 * On a backend that records, the first calls of a signature (structure, shapes and dtypes of the arguments) run eagerly
 * and are watched; once two of them have done the same, later ones are replayed without running the function, with the
 * same bits (on a backend whose plans give other bits than eager calls, those are the plan's from the first call on).
 * What the function takes from outside by other ways than its arguments is frozen then. A function that reads values,
 * draws numbers of its own or makes shapes from values stays eager; `explain()` says why.
 *
 * Throws `IMPURE_FUNCTION` for a function that returns a Promise or anything but tensors, or that uses a tensor which it
 * wasn't given (looked for until a call has succeeded: such a tensor would be frozen into a recording). Calls throw
 * `INVALID_ARGUMENT`, `SHAPE_MISMATCH`, `DTYPE_MISMATCH` and `BACKEND_MISMATCH` for arguments that are no tensors or
 * arrays, contradict themselves, would narrow, or live elsewhere, and `BACKEND_UNAVAILABLE` before the backend is started.
 */
export function compile<Args extends readonly Tree<Tensor>[], Out extends Tree<Tensor>>(
  f: (...args: Args) => Out,
  options: CompileOptions,
): Compiled<Args, Out> {
  const { backend, donate = [], precision = 'float32' } = options;
  const name = options.name || f.name || 'compiled function';
  const recordings = new Recordings(precision);
  let calls = 0;
  let replayed = 0;

  const runEagerly = (
    args: readonly Tree<Tensor | NdArray>[],
    leaves: readonly (Tensor | NdArray)[],
    recorder: Recorder | undefined,
  ): Out => {
    let recording: Recording | undefined;
    const output = withBackend(backend, () =>
      runScope(
        name,
        () => {
          const first = nextTensorId();
          const tensors = args.map((arg) => uploadWithin(arg));
          const inputs = tensors.flatMap((tree) => treeLeaves<Tensor>(tree));
          const given = new Set(inputs);
          const guard = calls === 0 || recorder ? guardCaptures(name, first, given) : undefined;
          const origins = recorder && originsOf(args, donate);
          let result: Out | undefined;
          try {
            recording = origins && recorder?.begin(inputs, origins);
            result = detach(f(...(tensors as unknown as Args)), given, name, first) as Out;
            return result;
          } finally {
            guard?.();
            recording?.end(result === undefined ? undefined : treeLeaves<Tensor>(result));
          }
        },
        (result) => treeLeaves<Tensor>(result),
      ),
    );
    const watched = recording;
    if (!recorder || !watched) return output;
    let planned: Tree<Tensor> | undefined;
    try {
      planned = withBackend(backend, () => recordings.add(recorder, watched, output, leaves));
    } catch (error) {
      release(output);
      throw error;
    }
    if (!planned) return output;
    release(output);
    return planned as Out;
  };

  const call = (...args: Tree<Tensor | NdArray>[]): Out => {
    if (isInScope() || isRecordingGradients()) {
      return withinBackend(backend, name, () =>
        f(...(args.map((arg) => uploadWithin(arg)) as unknown as Args)),
      );
    }
    const leaves: (Tensor | NdArray)[] = [];
    for (const [index, arg] of args.entries()) {
      for (const [path, leaf] of treeEntries(arg)) {
        checkArgument(leaf, `${name}, argument ${index + 1}`, path, backend);
        leaves.push(leaf);
      }
    }
    const { recorder } = backend;
    checkPrecision(precision, backend, name);
    const replay = recorder && recordings.find(recorder, args);
    let output = replay && withBackend(backend, () => recordings.replay(replay, leaves));
    if (output) replayed++;
    else output = runEagerly(args, leaves, recorder && recordings.isOpen ? recorder : undefined);
    for (const index of donate) {
      for (const leaf of treeLeaves<Tensor | NdArray>(args[index] ?? []))
        if (leaf instanceof Tensor) consume(leaf, name);
    }
    calls++;
    return output as Out;
  };

  const explain = (): Explanation => {
    const { recorder } = backend;
    if (!recorder) {
      const reason = `the backend '${backend.name}' does not record: every call runs its ops one by one`;
      return { mode: 'eager', reason, calls, replayed, recordings: [] };
    }
    return { ...recordings.explain(), calls, replayed };
  };
  return Object.assign(call, { explain }) as unknown as Compiled<Args, Out>;
}

/**
 * The values of a tree of tensors, on the host. The tensors are freed, unless `keep` says otherwise; a failed read
 * frees nothing. Throws `TENSOR_CONSUMED` for a tensor that is gone, `INVALID_ARGUMENT` for a leaf that is none.
 */
export async function read<T>(
  tree: T & Tree<Tensor>,
  options: { readonly keep?: boolean } = {},
): Promise<Downloaded<T>> {
  const entries = treeEntries<Tensor>(tree);
  for (const [path, tensor] of entries) checkAlive(tensor, 'read', path);
  const values = await Promise.all(entries.map(([, tensor]) => download(tensor)));
  if (!options.keep) for (const [, tensor] of entries) tensor.dispose();
  let next = 0;
  return treeMap<Tensor, NdArray>(tree, () => values[next++]) as unknown as Downloaded<T>;
}

/**
 * Host values as tensors on a backend, owned by the caller: for what is used by many calls. The values are copied. Throws
 * `DTYPE_MISMATCH` where a dtype would narrow, `SHAPE_MISMATCH` for an array that contradicts itself,
 * `BACKEND_UNAVAILABLE` before the backend is started; nothing is uploaded then.
 */
export function upload<T extends Tree<NdArray>>(tree: T, backend: Backend): Uploaded<T> {
  for (const [path, leaf] of treeEntries<NdArray>(tree)) {
    deviceDType(leaf.dtype, path || 'upload');
    checkNdArray(leaf, path || 'upload');
  }
  const instance = engineBackend(backend);
  const made: Tensor[] = [];
  try {
    return withBackend(backend, () =>
      treeMap<NdArray, Tensor>(tree, (leaf) => {
        const tensor = internals().keep(makeTensor(leaf, instance));
        made.push(tensor);
        return tensor;
      }),
    ) as unknown as Uploaded<T>;
  } catch (error) {
    // The backend may run out of memory in the middle.
    release(made);
    throw error;
  }
}

/** Frees a tree of tensors whose values nobody wants. */
export function release(tree: Tree<Tensor>): void {
  for (const tensor of treeLeaves<Tensor>(tree)) tensor.dispose();
}

function originsOf(args: readonly Tree<Tensor | NdArray>[], donate: readonly number[]): Origin[] {
  return args.flatMap((arg, index) =>
    treeLeaves<Tensor | NdArray>(arg).map((leaf) =>
      isNdArray(leaf) ? 'host' : donate.includes(index) ? 'donated' : 'kept',
    ),
  );
}

const consumers = new WeakMap<Tensor, string>();

function consume(tensor: Tensor, by: string): void {
  if (!tensor.isDisposed) tensor.dispose();
  consumers.set(tensor, by);
}

function uploadWithin(tree: Tree<Tensor | NdArray>): Tree<Tensor> {
  return treeMap(tree, (leaf) => (isNdArray(leaf) ? makeTensor(leaf) : (leaf as Tensor)));
}

function makeTensor(array: NdArray, backend?: ReturnType<typeof engineBackend>): Tensor {
  const dtype = deviceDType(array.dtype);
  // A copy: backends may keep the array they are given, and the caller's may change.
  const values =
    dtype === 'int32'
      ? Int32Array.from(array.data as Int32Array)
      : dtype === 'bool'
        ? Uint8Array.from(array.data as Uint8Array)
        : Float32Array.from(array.data as Float32Array);
  const tensor = internals().makeTensor(values, array.shape, dtype, backend);
  rememberHostValue(tensor, array);
  return tensor;
}

async function download(tensor: Tensor): Promise<NdArray> {
  const { dtype, shape } = tensor;
  const values = await tensor.data();
  if (dtype === 'float32') return { dtype, shape: [...shape], data: Float32Array.from(values) };
  if (dtype === 'int32') return { dtype, shape: [...shape], data: Int32Array.from(values) };
  if (dtype === 'bool') return { dtype, shape: [...shape], data: Uint8Array.from(values) };
  throw new TenonError({
    code: 'DTYPE_MISMATCH',
    where: 'read',
    expected: 'a tensor of float32, int32 or bool',
    got: dtype,
    hint: 'Convert it inside the compiled function.',
  });
}

function checkArgument(leaf: unknown, where: string, path: string, backend: Backend): void {
  const at = path ? `${where}, ${path}` : where;
  if (isNdArray(leaf)) {
    deviceDType(leaf.dtype, at);
    checkNdArray(leaf, at);
    return;
  }
  checkTensor(leaf, at, 'a tensor or an NdArray');
  checkAlive(leaf, where, path);
  const owner = internals().state.tensorInfo.get(leaf.dataId)?.backend;
  if (owner !== engineBackend(backend)) {
    throw new TenonError({
      code: 'BACKEND_MISMATCH',
      where: at,
      expected: `a tensor on the backend '${backend.name}'`,
      got: 'one on another backend',
      hint: 'read() it there, and pass the NdArray here.',
    });
  }
}

function checkAlive(leaf: Tensor, where: string, path: string): void {
  checkTensor(leaf, path ? `${where}, ${path}` : where);
  // A backend that is disposed takes its tensors out of tfjs's books.
  if (!leaf.isDisposed && internals().state.tensorInfo.has(leaf.dataId)) return;
  const by = consumers.get(leaf);
  const lost = leaf.isDisposed ? 'one that was read or released' : 'one whose backend was disposed';
  throw new TenonError({
    code: 'TENSOR_CONSUMED',
    where: path ? `${where}, ${path}` : where,
    expected: 'a live tensor',
    got: by ? `one that was donated to '${by}'` : lost,
    hint: 'Use what the call returned in its place, or read with { keep: true }.',
  });
}

/** Checks outputs, and clones those that alias an argument, each other, or a tensor from outside. */
function detach(output: unknown, given: ReadonlySet<Tensor>, name: string, first: number): Tree<Tensor> {
  refusePromise(output, name);
  const seen = new Set<Tensor>();
  return treeMap(output as Tree<unknown>, (leaf, path) => {
    refusePromise(leaf, path ? `${name}, output ${path}` : name);
    if (!(leaf instanceof Tensor)) {
      throw new TenonError({
        code: 'IMPURE_FUNCTION',
        where: path ? `${name}, output ${path}` : name,
        expected: 'trees (plain arrays and objects) of tensors as outputs',
        got: describeLeaf(leaf),
      });
    }
    if (leaf.isDisposed) {
      throw new TenonError({
        code: 'TENSOR_CONSUMED',
        where: path ? `${name}, output ${path}` : name,
        message: 'this output has been disposed inside the function',
      });
    }
    if (!given.has(leaf) && leaf.id < first) throw captured(name, leaf);
    const shared = given.has(leaf) || seen.has(leaf) || leaf instanceof Variable;
    const fresh = shared ? clone(leaf) : leaf;
    seen.add(fresh);
    return fresh;
  });
}

function describeLeaf(leaf: unknown): string {
  if (leaf === undefined) return 'undefined';
  if (isNdArray(leaf)) return 'an NdArray';
  return isNode(leaf) || leaf === null ? String(leaf) : typeof leaf;
}

/**
 * Makes every kernel call check, while the first call runs, that its inputs are arguments or were made inside. Ids
 * grow with every tensor, so one below the first of this call that isn't an argument's comes from outside.
 */
function guardCaptures(name: string, first: number, given: ReadonlySet<Tensor>): () => void {
  return override('runKernel', (original) => (kernel, inputs, attrs) => {
    for (const input of Object.values(inputs).flat()) {
      if (input instanceof Tensor && input.id < first && !given.has(input)) throw captured(name, input);
    }
    return original(kernel, inputs, attrs);
  });
}

function captured(name: string, tensor: Tensor): TenonError {
  return new TenonError({
    code: 'IMPURE_FUNCTION',
    where: name,
    message: `a compiled function uses a tensor of shape [${tensor.shape.join(', ')}] that it wasn't given`,
    hint: 'Pass it as an argument: what is captured from outside would be frozen into a recording.',
  });
}
