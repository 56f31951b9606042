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
} from '@tenon-ml/experiment';
import { plainError, renaming } from './calls.js';
import { createDataDesk } from './desk_data.js';
import { type NetworkTable, plainTable } from './network_table.js';
import type { PlainError } from './protocol.js';
import { listRuns, readCurves, removeRun } from './runs.js';

export type { DataLook } from './desk_data.js';
export type { NetworkRow, NetworkTable } from './network_table.js';

/** What is prepared beside the page: data, networks, and the runs in the browser's storage. */
export function createDesk() {
  return {
    ...createDataDesk(),
    presets: () => presets,
    catalog: () => layerCatalog,
    inspect: (network: LayerSpec, input: TensorSpec): NetworkTable =>
      plainTable(inspectNetwork(network, input)),
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
    /** The experiment in a link. Throws 'DOCUMENT_INVALID' for one that is damaged. */
    fromText: (text: string): Promise<ExperimentDocument> =>
      renaming({ INVALID_ARGUMENT: 'DOCUMENT_INVALID' }, () => documentFromText(text)),
    runs: listRuns,
    removeRun,
    async curves(id: string) {
      return readCurves(await opfsStore(`runs/${id}`));
    },
    storage: storageEstimate,
  };
}
