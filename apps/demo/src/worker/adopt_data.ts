import type { LayerSpec } from '@tenon-ml/core';
import {
  type DataSpec,
  type DocumentData,
  type ExperimentDocument,
  fitNetwork,
  inspectNetwork,
  type NetworkEnds,
  type Preset,
  type PresetId,
  presets,
} from '@tenon-ml/experiment';

/** What a network has to fit. */
export type DataEnds = Pick<DocumentData, 'task' | 'outputs' | 'input'>;

/** The preset that is made for each kind of data. */
const presetOf: { readonly [S in DataSpec['source']]: PresetId } = {
  digits: 'digits-cnn',
  cifar10: 'cifar10-cnn',
  arrays: 'pictures-cnn',
  csv: 'table-mlp',
  text: 'text-gpt',
};

/** What `fitNetwork` fits a network to. */
export function networkEnds({ task, outputs, input }: DataEnds): NetworkEnds {
  if (task === 'text') return { vocabulary: outputs, input };
  return task === 'regression' ? { outputs, input } : { classes: outputs, input };
}

/**
 * The document on other data. Its own network is kept, with its ends fitted, where it takes the data; the network of a
 * preset for another source, which nobody has edited, is not worth keeping. Instead come the network and the settings of
 * the preset for such data.
 */
export function adoptData(document: ExperimentDocument, data: DataSpec, ends: DataEnds): ExperimentDocument {
  const fit = (one: ExperimentDocument): ExperimentDocument =>
    fitNetwork({ ...one, data }, networkEnds(ends));
  const own = fit(document);
  const unedited = presets.some(
    (preset) =>
      preset.document.data.source !== data.source && sameNetwork(fit(preset.document).network, own.network),
  );
  if (!unedited && takes(own.network, ends)) return own;
  const { document: fresh } = presets.find(({ id }) => id === presetOf[data.source]) as Preset;
  const named = presets.some(({ id }) => id === document.name);
  return fit({ ...fresh, seed: document.seed, ...(!named && { name: document.name }) });
}

/** Whether a network can be built on the data, and gives as many numbers as it should. */
export function takes(network: LayerSpec, { task, outputs, input }: DataEnds): boolean {
  const { output } = inspectNetwork(network, input);
  const wanted = task === 'text' ? [null, input.shape[1], outputs] : [null, outputs];
  return output !== null && String(output.shape) === String(wanted);
}

function sameNetwork(a: LayerSpec, b: LayerSpec): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
