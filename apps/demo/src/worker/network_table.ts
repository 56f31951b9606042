import type { LayerSpec } from '@tenon-ml/core';
import type { NetworkReport, NetworkRow as Row } from '@tenon-ml/experiment';
import { plainError } from './calls.js';
import type { PlainError } from './protocol.js';

/** A row of the network's table. */
export interface NetworkRow {
  readonly name: string;
  readonly layer: string;
  readonly spec: LayerSpec;
  readonly output: readonly (number | null)[] | null;
  readonly params: number;
  readonly state: number;
  readonly multiplyAdds: number | null;
  /** Of a list within the list. */
  readonly children: readonly NetworkRow[];
  readonly error: PlainError | null;
}

export interface NetworkTable {
  readonly rows: readonly NetworkRow[];
  /** What the network gives, null for the batch; null where there is an error. */
  readonly output: readonly (number | null)[] | null;
  readonly params: number;
  /** Numbers that are saved without being trained. */
  readonly state: number;
  readonly multiplyAdds: number | null;
  /** What keeps it from being built. */
  readonly error: PlainError | null;
}

/** A report as it crosses to the page. */
export function plainTable({
  rows,
  output,
  params,
  state,
  multiplyAdds,
  error,
}: NetworkReport): NetworkTable {
  return {
    rows: rows.map(plainRow),
    output: output?.shape ?? null,
    params,
    state,
    multiplyAdds,
    error: error ? plainError(error) : null,
  };
}

export function plainRow({ children = [], error, ...row }: Row): NetworkRow {
  return { ...row, children: children.map(plainRow), error: error ? plainError(error) : null };
}
