import {
  type Json,
  joinPath,
  type LayerSpec,
  type Precision,
  TenonError,
  type TensorSpec,
  type TransformationSpec,
  type TransformSpec,
  type Tree,
} from '@tenon-ml/core';
import type { LossScalingSpec } from './loss_scaling.js';

/** What a checkpoint belongs to: a resume with other parts is refused, since it would be another run. */
export interface Identity {
  readonly model: LayerSpec;
  readonly optimizer: TransformSpec;
  readonly seed: number;
  readonly input: Tree<TensorSpec>;
  // Absent in the first checkpoints of format 1.
  readonly loss?: Json;
  /** By name, in order: the checkpoint holds their states. */
  readonly metrics?: readonly string[];
  readonly preprocessing?: readonly TransformationSpec[];
  // Where they are absent, they are 'float32' and 'none'.
  readonly precision?: Precision;
  readonly lossScaling?: LossScalingSpec;
}

/** Throws `CHECKPOINT_INVALID` where a checkpoint is another experiment's, with the first thing that differs. */
export function checkIdentity(mine: Identity, stored: Identity, where: string): void {
  const theirs: Identity = { precision: 'float32', lossScaling: 'none', ...stored };
  for (const part of Object.keys(mine) as (keyof Identity)[]) {
    if (theirs[part] === undefined) continue;
    // As JSON, since that is what the checkpoint keeps of it.
    const difference = firstDifference(asJson(mine[part]), asJson(theirs[part]));
    if (!difference) continue;
    const { path, now, before } = difference;
    throw new TenonError({
      code: 'CHECKPOINT_INVALID',
      where,
      expected: `the ${part} that the run began with, ${path ? `${path}: ` : ''}${before}`,
      got: now,
      hint: 'The experiment was changed since: start a new run.',
    });
  }
}

interface Difference {
  readonly path: string;
  readonly now: string;
  readonly before: string;
}

function firstDifference(now: Json | undefined, before: Json | undefined, path = ''): Difference | undefined {
  if (!isNode(now) || !isNode(before)) {
    return now === before ? undefined : { path, now: abbreviate(now), before: abbreviate(before) };
  }
  for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) {
    const difference = firstDifference(now[name], before[name], joinPath(path, name));
    if (difference) return difference;
  }
  return undefined;
}

function isNode(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null;
}

function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}

function abbreviate(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
