import type { LayerSpec, TensorSpec } from '@tenon-ml/core';
import { opfsStore, storageEstimate } from '@tenon-ml/core/browser';
import {
  type DataKind,
  type DataSpec,
  type ExperimentDocument,
  fitNetwork,
  inspectNetwork,
  layerCatalog,
  loadDocumentData,
  type PresetId,
  presets,
} from '@tenon-ml/experiment';
import { plainError } from './calls.js';
import { openData } from './data.js';
import { type NetworkTable, plainTable } from './network_table.js';
import type { PlainError } from './protocol.js';
import { listRuns, readCurves, removeRun } from './runs.js';

export type { NetworkRow, NetworkTable } from './network_table.js';

/** What the page shows of data before anything is trained on it. */
export interface DataLook {
  readonly kind: DataKind;
  readonly input: TensorSpec;
  readonly classNames: readonly string[];
  readonly count: number | null;
}

/** What is prepared beside the page: data, networks, and the runs in the browser's storage. */
export function createDesk() {
  return {
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
    async look(data: DataSpec, dataId: string | null): Promise<DataLook> {
      const { kind, input, classNames, examples } = await loadDocumentData(data, await openData(dataId));
      return { kind, input, classNames, count: examples.length };
    },
    /** The document with its network's ends fitted to its data. */
    async fit(document: ExperimentDocument, dataId: string | null): Promise<ExperimentDocument> {
      const { input, outputs, vocabulary, task } = await loadDocumentData(
        document.data,
        await openData(dataId),
      );
      const ends =
        task === 'text' && vocabulary
          ? { vocabulary: vocabulary.names.length }
          : task === 'regression'
            ? { outputs }
            : { classes: outputs };
      return fitNetwork(document, { ...ends, input });
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

const documentCode = (d: ExperimentDocument) => JSON.stringify(d);
const documentToText = async (d: ExperimentDocument) => btoa(JSON.stringify(d));
const documentFromText = async (t: string) => JSON.parse(atob(t)) as ExperimentDocument;
