import type { LayerSpec, TensorSpec } from '@tenon-ml/core';
import { opfsStore, storageEstimate } from '@tenon-ml/core/browser';
import {
  documentCode,
  documentFromText,
  documentToText,
  type ExperimentDocument,
  inspectNetwork,
  layerCatalog,
  presets,
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
  readonly error: PlainError | null;
}

export interface NetworkTable {
  readonly rows: readonly NetworkRow[];
  readonly params: number;
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
      const rows = report.rows.map(({ output, error, ...row }) => ({
        ...row,
        output,
        error: error ? plainError(error) : null,
      }));
      return {
        rows,
        params: report.params,
        multiplyAdds: report.multiplyAdds,
        error: report.error ? plainError(report.error) : null,
      };
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
