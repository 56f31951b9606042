import {
  type AnyLayer,
  type Applied,
  type Context,
  type Device,
  formatShape,
  type Host,
  type Initialized,
  isNode,
  joinPath,
  type Key,
  type Leaf,
  type NdArray,
  type Params,
  type Specs,
  sameShape,
  TenonError,
  type Tree,
  treeEntries,
} from '@tenon-ml/core';
import type { Tensor } from '@tensorflow/tfjs-core';

type Children = { readonly [name: string]: AnyLayer };
type AnyParams = Params<Leaf>;

/** Initializes children by name, and gathers what they have. */
export interface InitRun {
  /** Initializes a child for this input, from the container's key folded with its name; returns its output. */
  child(name: string, input: Specs<Tree<Tensor>>): Specs<Tree<Tensor>>;
  /** What `init` returns besides the output. Throws `SHARED_LAYER`. */
  done(): Omit<Initialized<AnyParams, AnyParams>, 'output'>;
}

/** Calls children by name, and gathers their states and losses. */
export interface ApplyRun {
  child(name: string, input: Tree<Tensor>): Tree<Tensor>;
  /** What `apply` returns besides the output. */
  done(): Omit<Applied<AnyParams>, 'output'>;
}

/** The run of a container's `init`. A child that has no parameters (or no state) is left out of the tree of them. */
export function initChildren(children: Children, key: Key, path: string): InitRun {
  const params: { [name: string]: Host<AnyParams> } = {};
  const state: { [name: string]: Host<AnyParams> } = {};
  const called = new Set<string>();
  return {
    child(name, input) {
      const at = joinPath(path, name);
      const made = children[name].init(key.foldIn(name), input, at);
      if (called.has(name)) {
        checkSecondCall(made.params, own(params, name), at);
        checkSecondCall(made.state, own(state, name), at);
      } else {
        called.add(name);
        if (!isEmpty(made.params)) params[name] = made.params;
        if (!isEmpty(made.state)) state[name] = made.state;
      }
      return made.output;
    },
    done() {
      checkSharing(children, params, state, path);
      return { params, state };
    },
  };
}

/**
 * The run of a container's `apply`. Each call of a child is tapped, and what the tap returns goes on; a child
 * that is called again goes on from its state.
 */
export function applyChildren(
  children: Children,
  params: Device<AnyParams>,
  state: Device<AnyParams>,
  context: Context,
): ApplyRun {
  let next = state;
  const losses: Tensor[] = [];
  return {
    child(name, input) {
      const before = own(next, name) as Device<AnyParams>;
      const applied = children[name].apply(
        own(params, name) as Device<AnyParams>,
        before,
        input,
        context.child(name),
      );
      if (applied.state !== before && !isEmpty(applied.state)) next = { ...next, [name]: applied.state };
      if (applied.losses) losses.push(...applied.losses);
      return context.tap(name, applied.output);
    },
    done: () => ({ state: next, ...(losses.length > 0 && { losses }) }),
  };
}

const nothing = Object.freeze({});

/** A child's part of a tree: nothing where the tree has none. */
function own(tree: object, name: string): object {
  return Object.hasOwn(tree, name) ? (tree as { [name: string]: object })[name] : nothing;
}

function isEmpty(tree: object): boolean {
  return Object.keys(tree).length === 0;
}

/** Throws where a layer that is called again would have needed other parameters for this input. */
function checkSecondCall(made: object, first: object, where: string): void {
  const known = new Map(treeEntries<NdArray>(first as Tree<NdArray>));
  for (const [path, value] of treeEntries<NdArray>(made as Tree<NdArray>)) {
    const shape = known.get(path)?.shape;
    if (shape && sameShape(shape, value.shape)) continue;
    throw new TenonError({
      code: 'SHAPE_MISMATCH',
      where,
      expected: `an input as in this layer's first call, for which ${path} is ${formatShape(shape ?? [])}`,
      got: `one for which it is ${formatShape(value.shape)}`,
      hint: 'A layer that is called more than once takes inputs of one size; make another layer otherwise.',
    });
  }
}

/** Throws `SHARED_LAYER` where a layer that has parameters or state stands at two paths below a container. */
function checkSharing(children: Children, params: object, state: object, path: string): void {
  const seen = new Map<AnyLayer, string>();
  const walk = (below: Children, paramsHere: object, stateHere: object, at: string): void => {
    for (const [name, layer] of Object.entries(below)) {
      const ownParams = own(paramsHere, name);
      const ownState = own(stateHere, name);
      if (!isNode(ownParams) || !isNode(ownState) || (isEmpty(ownParams) && isEmpty(ownState))) continue;
      const here = joinPath(at, name);
      const first = seen.get(layer);
      if (first !== undefined) {
        throw new TenonError({
          code: 'SHARED_LAYER',
          where: here,
          message: `this ${layer.spec.layer} layer also stands at ${first}, and its parameters have one path`,
          hint: 'Make another layer, or call this one twice within one container.',
        });
      }
      seen.set(layer, here);
      if (layer.children) walk(layer.children, ownParams, ownState, here);
    }
  };
  walk(children, params, state, path);
}
