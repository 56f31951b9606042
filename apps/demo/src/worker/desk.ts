import type { LayerSpec, TensorSpec } from '@tenon-ml/core';
import { opfsStore, storageEstimate } from '@tenon-ml/core/browser';
import {
  documentCode,
  documentFromText,
  documentToText,
  type ExperimentDocument,
  fitNetwork,
  inspectNetwork,
  layerCatalog,
  type PresetId,
  presets,
  type NetworkRow as Row,
} from '@tenon-ml/experiment';
import { plainError } from './calls.js';
import { createDataDesk } from './desk_data.js';
import type { PlainError } from './protocol.js';
import { listRuns, readCurves, removeRun } from './runs.js';

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

export type { DataLook } from './desk_data.js';

/** What is prepared beside the page: data, networks, and the runs in the browser's storage. */
export function createDesk() {
  return {
    ...createDataDesk(),
    presets: () => presets,
    catalog: () => layerCatalog,
    inspect(network: LayerSpec, input: TensorSpec): NetworkTable {
      const report = inspectNetwork(network, input);
      return {
        rows: report.rows.map(plainRow),
        output: report.output?.shape ?? null,
        params: report.params,
        state: report.state,
        multiplyAdds: report.multiplyAdds,
        error: report.error ? plainError(report.error) : null,
      };
    },
    /** What keeps the network of each preset from taking an input; null for those that can. */
    suits(input: TensorSpec): { readonly [Id in PresetId]: PlainError | null } {
      const problems = presets.map(({ id, document }) => {
        const { error } = inspectNetwork(fitNetwork(document, { input }).network, input);
        return [id, error ? plainError(error) : null] as const;
      });
      return Object.fromEntries(problems) as { [Id in PresetId]: PlainError | null };
    },
    code: (document: ExperimentDocument): string => documentCode(document),
    toText: (document: ExperimentDocument): Promise<string> => documentToText(document),
    fromText: (text: string): Promise<ExperimentDocument> => documentFromText(text),
    runs: listRuns,
    removeRun,
    async curves(id: string) {
      return readCurves(await opfsStore(`runs/${id}`));
    },
    storage: storageEstimate,
  };
}

function plainRow({ children = [], error, ...row }: Row): NetworkRow {
  return { ...row, children: children.map(plainRow), error: error ? plainError(error) : null };
}
